// Web Crypto around JWKs, so that every peer signs and verifies ES256 in the same few lines.
import { createHash, webcrypto, X509Certificate } from "node:crypto";

const EC = { name: "ECDSA", namedCurve: "P-256" };
const ES256 = { name: "ECDSA", hash: "SHA-256" };
export const b64url = (data) => Buffer.from(data).toString("base64url");

const bare = ({ kty, crv, x, y, d }) => (d ? { kty, crv, x, y, d } : { kty, crv, x, y });
export const publicOf = ({ kty, crv, x, y }) => ({ kty, crv, x, y });

export async function sign(jwk, input) {
  const key = await webcrypto.subtle.importKey("jwk", bare(jwk), EC, false, ["sign"]);
  return b64url(await webcrypto.subtle.sign(ES256, key, Buffer.from(input)));
}

export async function verify(jwk, input, signature) {
  const key = await webcrypto.subtle.importKey("jwk", bare(publicOf(jwk)), EC, false, ["verify"]);
  return webcrypto.subtle.verify(ES256, key, Buffer.from(signature, "base64url"), Buffer.from(input));
}

export const sha256 = (data) => createHash("sha256").update(data).digest();

export async function signJwt(jwk, header, payload) {
  const input = `${b64url(JSON.stringify(header))}.${b64url(JSON.stringify(payload))}`;
  return `${input}.${await sign(jwk, input)}`;
}

// the key of the leaf in a token's x5c, once its chain holds below the network's root (base64 DER)
export function keyUnder(root, token) {
  const { x5c } = JSON.parse(Buffer.from(token.split(".")[0], "base64url"));
  const [leaf, issuing] = x5c.map((one) => new X509Certificate(Buffer.from(one, "base64")));
  const anchor = new X509Certificate(Buffer.from(root, "base64"));
  if (!leaf.verify(issuing.publicKey) || !issuing.verify(anchor.publicKey)) throw new Error("the chain does not hold");
  return leaf.publicKey.export({ format: "jwk" });
}
