// npm @sd-jwt/sd-jwt-vc: issuer, holder and verifier of SD-JWT VCs.
import { digest, generateSalt } from "@sd-jwt/crypto-nodejs";
import { SDJwtVcInstance } from "@sd-jwt/sd-jwt-vc";
import { keyUnder, sign, verify as verifySignature } from "./keys.mjs";

const instance = (config) =>
  new SDJwtVcInstance({ hasher: digest, hashAlg: "sha-256", saltGenerator: generateSalt, signAlg: "ES256", kbSignAlg: "ES256",
    ...config });

export async function issue({ claims, frame, jwk, header }) {
  return instance({ signer: (data) => sign(jwk, data) }).issue(claims, frame, { header });
}

export async function present({ credential, frame, jwk, aud, nonce, iat }) {
  return instance({ kbSigner: (data) => sign(jwk, data) })
    .present(credential, frame, jwk ? { kb: { payload: { aud, nonce, iat } } } : undefined);
}

// issuer: the key of issuer and status list, or root: the anchor below which both must have their leaves.
// statusToken: what a fetch of the status list would have returned; without it this package fetches it itself.
export async function verify({ token, issuer, root, holder, nonce, now, required, statusToken }) {
  const of = (data) => issuer ?? keyUnder(root, data);
  const sdjwt = instance({
    verifier: (data, signature) => verifySignature(of(data), data, signature),
    kbVerifier: (data, signature, payload) => verifySignature(holder ?? payload.cnf.jwk, data, signature),
    ...(statusToken ? { statusListFetcher: async () => statusToken } : {}),
    statusVerifier: (data, signature) => verifySignature(of(data), data, signature),
    statusValidator: async (status) => {
      if (status !== 0) throw new Error(`status ${status}`);
    },
  });
  const result = await sdjwt.verify(token, { currentDate: now, requiredClaimKeys: required ?? [], keyBindingNonce: nonce });
  return { payload: result.payload, kb: result.kb?.payload };
}
