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

// what the package chooses: for each query that can be answered, a credential and the claims of its claim set
function chosen(query, held) {
  const matches = DcqlQuery.query(query, held).credential_matches;
  return query.credentials.flatMap(({ id, claims, claim_sets }) => {
    const found = matches[id].valid_credentials?.[0];
    if (!found) return [];
    const index = found.claims.valid_claim_sets?.[0]?.claim_set_index;
    const wanted = index === undefined ? claims : claims.filter((claim) => claim_sets[index].includes(claim.id));
    return [{ id, at: found.input_credential_index, claims: wanted }];
  });
}

export async function answer({ request, credentials, holder, now, tamper }) {
  const client = new Openid4vpClient({ callbacks: callbacks(holder) });
  const parsed = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: request });
  const resolved = await client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: parsed.params });
  const payload = resolved.authorizationRequestPayload;
  const query = DcqlQuery.parse(resolved.dcql.query);
  const vp_token = {};
  const sdjwt = new SDJwtVcInstance({ hasher: digest, hashAlg: "sha-256", kbSignAlg: "ES256", kbSigner: (data) => sign(holder, data) });
  const held = await Promise.all(credentials.map(async ({ vct, credential }) => ({
    credential_format: "dc+sd-jwt", vct, claims: await sdjwt.getClaims(credential), cryptographic_holder_binding: true,
  })));
  for (const { id, at, claims } of chosen(query, held)) {
    vp_token[id] = [await sdjwt.present(credentials[at].credential, frameOf(claims), {
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
