// npm @openid-federation/core: resolves a trust through our anchor, and speaks as an anchor itself.
import { createEntityConfiguration, createEntityStatement, resolveTrustChains } from "@openid-federation/core";
import { sign, verify } from "./keys.mjs";

export async function resolve({ leaf, anchors }) {
  const chains = await resolveTrustChains({
    entityId: leaf,
    trustAnchorEntityIds: anchors,
    verifyJwtCallback: async ({ jwt, jwk }) => {
      const [header, payload, signature] = jwt.split(".");
      return verify(jwk, `${header}.${payload}`, signature);
    },
  });
  return chains.map((chain) => ({
    anchor: chain.trustAnchorEntityConfiguration.sub,
    chain: chain.chain.map((s) => ({ iss: s.iss, sub: s.sub })),
    metadata: chain.resolvedLeafMetadata,
  }));
}

// jwk: with the private part and a kid; it is the key that signs, and must be among the claims' own jwks
const signer = (jwk) => async ({ toBeSigned }) => Buffer.from(await sign(jwk, toBeSigned), "base64url");
const header = ({ kid }) => ({ alg: "ES256", typ: "entity-statement+jwt", kid });

export async function configuration({ claims, jwk }) {
  return createEntityConfiguration({ header: header(jwk), claims, signJwtCallback: signer(jwk) });
}

export async function statement({ claims, jwk }) {
  return createEntityStatement({ header: header(jwk), claims, jwk, signJwtCallback: signer(jwk) });
}
