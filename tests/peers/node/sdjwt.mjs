// npm @sd-jwt/sd-jwt-vc: issuer, holder and verifier of SD-JWT VCs.
import { digest, generateSalt } from "@sd-jwt/crypto-nodejs";
import { SDJwtVcInstance } from "@sd-jwt/sd-jwt-vc";
import { sign, verify as verifySignature } from "./keys.mjs";

const instance = (config) =>
  new SDJwtVcInstance({ hasher: digest, hashAlg: "sha-256", saltGenerator: generateSalt, signAlg: "ES256", kbSignAlg: "ES256",
    // a status list is checked by its own operation
    statusListFetcher: async () => "", statusValidator: async () => {}, ...config });

export async function issue({ claims, frame, jwk, header }) {
  return instance({ signer: (data) => sign(jwk, data) }).issue(claims, frame, { header });
}

export async function present({ credential, frame, jwk, aud, nonce, iat }) {
  return instance({ kbSigner: (data) => sign(jwk, data) })
    .present(credential, frame, jwk ? { kb: { payload: { aud, nonce, iat } } } : undefined);
}

export async function verify({ token, issuer, holder, nonce, now, required }) {
  const sdjwt = instance({
    verifier: (data, signature) => verifySignature(issuer, data, signature),
    kbVerifier: (data, signature, payload) => verifySignature(holder ?? payload.cnf.jwk, data, signature),
  });
  const parsed = await sdjwt.decode(token);
  const payload = { ...parsed.jwt.payload };
  const withoutStatus = { ...payload };
  delete withoutStatus.status;
  const result = await sdjwt.verify(token, {
    currentDate: now, requiredClaimKeys: required ?? [], keyBindingNonce: nonce, disableStatusCheck: true,
  });
  return { payload: result.payload, kb: result.kb?.payload };
}
