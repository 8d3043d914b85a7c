// What the @openid4vc packages ask of their host: signing, hashing, encryption, certificates.
import { createPublicKey, randomBytes, createHash, X509Certificate } from "node:crypto";
import { CompactEncrypt, importJWK } from "jose";
import { clientAuthenticationAnonymous } from "@openid4vc/oauth2";
import { publicOf, signJwt, verify } from "./keys.mjs";

export function callbacks(holder) {
  return {
    hash: (data, alg) => createHash(alg.replace("-", "").toLowerCase()).update(data).digest(),
    generateRandom: (length) => randomBytes(length),
    clientAuthentication: clientAuthenticationAnonymous(),
    signJwt: async (signer, { header, payload }) => {
      if (signer.method !== "jwk" && signer.method !== "x5c") throw new Error(`cannot sign with ${signer.method}`);
      return { jwt: await signJwt(holder, header, payload), signerJwk: publicOf(holder) };
    },
    verifyJwt: async (signer, { compact }) => {
      let jwk;
      if (signer.method === "x5c") {
        const leaf = new X509Certificate(Buffer.from(signer.x5c[0], "base64"));
        jwk = createPublicKey(leaf.publicKey.export({ type: "spki", format: "pem" })).export({ format: "jwk" });
      } else if (signer.method === "jwk") jwk = signer.publicJwk;
      else return { verified: false };
      const [header, payload, signature] = compact.split(".");
      return { verified: await verify(jwk, `${header}.${payload}`, signature), signerJwk: jwk };
    },
    encryptJwe: async (encryptor, data) => {
      const { publicJwk, enc, apu, apv, alg, kid } = encryptor;
      const jwe = new CompactEncrypt(Buffer.from(data))
        .setProtectedHeader({ alg: alg ?? "ECDH-ES", enc, kid: kid ?? publicJwk.kid });
      if (apu) jwe.setKeyManagementParameters({ apu: Buffer.from(apu, "base64url"), apv: Buffer.from(apv ?? "", "base64url") });
      return { encryptionJwk: publicJwk, jwe: await jwe.encrypt(await importJWK(publicOf(publicJwk), "ECDH-ES")) };
    },
    decryptJwe: async () => ({ decrypted: false }),
    getX509CertificateMetadata: (certificate) => {
      const names = (new X509Certificate(Buffer.from(certificate, "base64")).subjectAltName ?? "").split(", ");
      const of = (kind) => names.filter((n) => n.startsWith(`${kind}:`)).map((n) => n.slice(kind.length + 1));
      return { sanDnsNames: of("DNS"), sanUriNames: of("URI") };
    },
  };
}
