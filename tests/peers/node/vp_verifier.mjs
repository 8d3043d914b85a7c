// npm @openid4vc/openid4vp as a verifier: a signed request (JAR, x509_hash), an encrypted answer.
import { randomBytes, webcrypto } from "node:crypto";
import { compactDecrypt, decodeProtectedHeader, importJWK } from "jose";
import { calculateX509HashClientIdPrefixValue, Openid4vpVerifier } from "@openid4vc/openid4vp";
import * as dcql from "./dcql.mjs";
import { callbacks } from "./callbacks.mjs";
import { route } from "./https.mjs";
import { publicOf } from "./keys.mjs";
import * as sdjwt from "./sdjwt.mjs";

const random = () => randomBytes(24).toString("base64url");
let seen;

async function encryptionKey() {
  const pair = await webcrypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]);
  return { ...(await webcrypto.subtle.exportKey("jwk", pair.privateKey)), kid: random(), alg: "ECDH-ES", use: "enc" };
}

// what a verifier's host must decrypt with: the key that was made for this request
const decryptor = (jwk) => async (jwe) => {
  const { plaintext, protectedHeader } = await compactDecrypt(jwe, await importJWK(jwk, "ECDH-ES"));
  if (protectedHeader.kid !== jwk.kid) return { decrypted: false };
  return { decrypted: true, decryptionJwk: publicOf(jwk), payload: new TextDecoder().decode(plaintext) };
};

// One request. signer: {jwk, x5c}; changes: members of the payload put over the good ones;
// signWith: another key than the leaf's. statusToken: what every status list of the holder's issuer says.
export async function ask({ verifier, query, purpose, signer, root, statusToken, method = "get", changes = {}, signWith }) {
  seen = { presented: undefined, refusal: undefined };
  const host = callbacks(signWith ?? signer.jwk);
  const encryption = await encryptionKey();
  const vp = new Openid4vpVerifier({ callbacks: host });
  const hash = await calculateX509HashClientIdPrefixValue({ x509Certificate: signer.x5c[0], hash: host.hash });
  const requestUri = `${verifier}/oid4vp/requests/1`;
  const payload = {
    response_type: "vp_token", client_id: `x509_hash:${hash}`, response_mode: "direct_post.jwt",
    response_uri: `${verifier}/oid4vp/response`, nonce: random(), state: random(), dcql_query: query,
    client_metadata: {
      jwks: { keys: [{ ...publicOf(encryption), kid: encryption.kid, alg: "ECDH-ES", use: "enc" }] },
      encrypted_response_enc_values_supported: ["A128GCM", "A256GCM"],
      vp_formats_supported: { "dc+sd-jwt": { "sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES256"] } },
    },
    ...(purpose ? { verifier_info: [{ format: "staff_passport_purpose", data: purpose }] } : {}),
    ...changes,
  };
  const create = (more) => vp.createOpenId4vpAuthorizationRequest({
    authorizationRequestPayload: { ...payload, ...more },
    jar: {
      requestUri, expiresInSeconds: 300, jwtSigner: { method: "x5c", alg: "ES256", x5c: signer.x5c },
      additionalJwtPayload: { aud: "https://self-issued.me/v2" },
    },
    wallet: more.wallet_nonce ? { expectedNonce: more.wallet_nonce } : undefined,
  });
  const media = "application/oauth-authz-req+jwt";
  const made = await create({});
  route("GET", requestUri, () => [200, made.jar.authorizationRequestJwt, media]);
  route("POST", requestUri, async ({ form }) =>
    [200, (await create({ wallet_nonce: form.wallet_nonce })).jar.authorizationRequestJwt, media]);
  const receive = async ({ form }) => {
    if (form.error) {
      seen.refusal = { error: form.error, state: form.state === payload.state };
      return [200, {}];
    }
    const parsed = await vp.parseOpenid4vpAuthorizationResponse({
      authorizationResponse: form, authorizationRequestPayload: made.authorizationRequestPayload,
      callbacks: { ...host, decryptJwe: decryptor(encryption) }, // the class does not pass its own on
    });
    const presentations = {};
    for (const [id, tokens] of Object.entries(parsed.dcql.presentations)) {
      presentations[id] = await Promise.all(tokens.map(async (token) => {
        const { payload: claims, kb } = await sdjwt.verify({
          token, root, nonce: payload.nonce, statusToken, now: Math.floor(Date.now() / 1000),
        });
        if (kb.aud !== payload.client_id) throw new Error(`aud ${kb.aud}`);
        return { format: "dc+sd-jwt", vct: claims.vct, claims, holder_bound: true };
      }));
    }
    seen.presented = {
      encrypted: parsed.jarm?.type, enc: decodeProtectedHeader(form.response).enc, ...(await dcql.match({ query, presentations })),
      claims: Object.fromEntries(Object.entries(presentations).map(([id, [one]]) => [id, one.claims])),
    };
    return [200, { redirect_uri: `${verifier}/done#response_code=${random()}` }];
  };
  route("POST", `${verifier}/oid4vp/response`, (request) =>
    receive(request).catch((error) => { seen.rejected = `${error.message}`; throw error; }));
  const link = method === "post" ? `${made.authorizationRequest}&request_uri_method=post` : made.authorizationRequest;
  return { link, client: payload.client_id, nonce: payload.nonce };
}

export const report = async () => seen;
