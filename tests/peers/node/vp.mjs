// npm @openid4vc/openid4vp as a wallet: reads our signed request and answers it encrypted.
import { Openid4vpClient } from "@openid4vc/openid4vp";
import { digest } from "@sd-jwt/crypto-nodejs";
import { SDJwtVcInstance } from "@sd-jwt/sd-jwt-vc";
import { DcqlQuery } from "dcql";
import { callbacks } from "./callbacks.mjs";
import { sign } from "./keys.mjs";

// which claims to reveal, as the presentation frame the SD-JWT library wants
function frameOf(claims) {
  const frame = {};
  for (const { path } of claims ?? []) {
    let at = frame;
    path.forEach((part, i) => {
      if (i === path.length - 1) at[part] = at[part] ?? true;
      else at = at[part] = typeof at[part] === "object" ? at[part] : {};
    });
  }
  return frame;
}

export async function answer({ request, credentials, holder, now, tamper }) {
  const client = new Openid4vpClient({ callbacks: callbacks(holder) });
  const parsed = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: request });
  const resolved = await client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: parsed.params });
  const payload = resolved.authorizationRequestPayload;
  const query = DcqlQuery.parse(resolved.dcql.query);
  const vp_token = {};
  for (const { id, meta, claims } of query.credentials) {
    const held = credentials.find((c) => meta.vct_values.includes(c.vct));
    if (!held) continue;
    const sdjwt = new SDJwtVcInstance({ hasher: digest, hashAlg: "sha-256", kbSignAlg: "ES256", kbSigner: (data) => sign(holder, data) });
    vp_token[id] = [await sdjwt.present(held.credential, frameOf(claims), {
      kb: { payload: { aud: tamper?.aud ?? payload.client_id, nonce: tamper?.nonce ?? payload.nonce, iat: now } },
    })];
  }
  const made = await client.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: payload,
    authorizationResponsePayload: { vp_token },
    jarm: {
      encryption: { nonce: "bm9uY2U" },
      serverMetadata: {
        authorization_signing_alg_values_supported: [],
        authorization_encryption_alg_values_supported: ["ECDH-ES"],
        authorization_encryption_enc_values_supported: ["A128GCM", "A256GCM"],
      },
    },
  });
  const { response, responseMode } = await client.submitOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: payload,
    authorizationResponsePayload: made.authorizationResponsePayload,
    jarm: made.jarm ? { responseJwt: made.jarm.responseJwt } : undefined,
  });
  return {
    asked: query.credentials.map((c) => c.id), presented: Object.keys(vp_token), responseMode, version: resolved.version,
    client: { prefix: resolved.client.prefix, name: payload.client_metadata?.client_name },
    status: response.status, body: await response.text(),
  };
}
