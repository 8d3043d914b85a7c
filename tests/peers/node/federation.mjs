// npm @openid-federation/core: resolves a trust through our live trust anchor.
import { resolveTrustChains } from "@openid-federation/core";
import { verify } from "./keys.mjs";

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
