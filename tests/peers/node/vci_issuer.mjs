// npm @openid4vc/openid4vci and oauth2 as issuer and authorization server; @sd-jwt/sd-jwt-vc signs.
import { randomBytes } from "node:crypto";
import { Openid4vciIssuer } from "@openid4vc/openid4vci";
import { Oauth2AuthorizationServer, Oauth2ResourceServer } from "@openid4vc/oauth2";
import { callbacks } from "./callbacks.mjs";
import { route } from "./https.mjs";
import * as sdjwt from "./sdjwt.mjs";
import { publicOf } from "./keys.mjs";

const GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code";
const random = () => randomBytes(32).toString("base64url");
let seen;

// One offer of every configuration named in `credentials` ({id: {claims, frame}}), collected with one PIN.
// signer: {jwk, x5c} signs credentials; tokens: the authorization server's own key, with a kid.
// spoil: {nonce} expects another nonce than it gave; {signature} signs with a key that is not in x5c;
// {holder} binds to that key instead of the proof's.
export async function serve({ issuer, configurations, credentials, pin, signer, tokens, spoil = {} }) {
  seen = { proofs: [], notifications: [], refusals: [] };
  const host = callbacks(tokens);
  const vci = new Openid4vciIssuer({ callbacks: host });
  const oauth = new Oauth2AuthorizationServer({ callbacks: host });
  const resource = new Oauth2ResourceServer({ callbacks: host });

  const server = oauth.createAuthorizationServerMetadata({
    issuer, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`,
    grant_types_supported: [GRANT], "pre-authorized_grant_anonymous_access_supported": true,
  });
  const credentialIssuer = vci.createCredentialIssuerMetadata({
    credential_issuer: issuer, credential_endpoint: `${issuer}/credential`, nonce_endpoint: `${issuer}/nonce`,
    notification_endpoint: `${issuer}/notification`, credential_configurations_supported: configurations,
  });
  const issuerMetadata = {
    credentialIssuer, authorizationServers: [server], originalDraftVersion: "V1",
    knownCredentialConfigurations: vci.getKnownCredentialConfigurationsSupported(credentialIssuer),
  };
  const offer = await vci.createCredentialOffer({
    issuerMetadata, credentialConfigurationIds: Object.keys(credentials),
    grants: { [GRANT]: { tx_code: { input_mode: "numeric", length: pin.length } } },
  });
  const reference = await vci.createCredentialOffer({
    issuerMetadata, credentialConfigurationIds: Object.keys(credentials),
    grants: offer.credentialOfferObject.grants, credentialOfferUri: `${issuer}/offers/1`,
  });
  let nonce;

  const authorised = (request) => resource.verifyResourceRequest({
    request, resourceServer: issuer, authorizationServers: [server], allowedAuthenticationSchemes: ["Bearer"],
  });
  const wellKnown = (name) => issuer.replace(new URL(issuer).pathname, `/.well-known/${name}${new URL(issuer).pathname}`);
  route("GET", wellKnown("openid-credential-issuer"), () => [200, credentialIssuer]);
  route("GET", wellKnown("oauth-authorization-server"), () => [200, server]);
  route("GET", `${issuer}/jwks`, () => [200, { keys: [{ ...publicOf(tokens), kid: tokens.kid, alg: "ES256", use: "sig" }] }]);
  route("GET", `${issuer}/offers/1`, () => [200, reference.credentialOfferObject]);
  route("POST", `${issuer}/nonce`, () => {
    nonce = random();
    return [200, vci.createNonceResponse({ cNonce: nonce })];
  });
  route("POST", `${issuer}/token`, async (request) => {
    const { grant, accessTokenRequest } = oauth.parseAccessTokenRequest({ accessTokenRequest: request.form, request });
    await oauth.verifyPreAuthorizedCodeAccessTokenRequest({
      authorizationServerMetadata: server, grant, accessTokenRequest, request,
      expectedPreAuthorizedCode: offer.credentialOfferObject.grants[GRANT]["pre-authorized_code"], expectedTxCode: pin,
    });
    return [200, await oauth.createAccessTokenResponse({
      authorizationServer: issuer, audience: issuer, subject: "collecting", expiresInSeconds: 300,
      signer: { method: "jwk", alg: "ES256", publicJwk: publicOf(tokens) },
    })];
  });
  route("POST", `${issuer}/credential`, async (request) => {
    await authorised(request);
    const read = vci.parseCredentialRequest({ issuerMetadata, credentialRequest: request.json });
    const [jwt] = read.proofs.jwt;
    const expectedNonce = spoil.nonce ? random() : nonce;
    const proof = await vci.verifyCredentialRequestJwtProof({ issuerMetadata, jwt, expectedNonce })
      .catch((error) => { seen.refusals.push(error.errorResponse); throw error; });
    seen.proofs.push({ typ: proof.header.typ, aud: proof.payload.aud });
    const { claims, frame } = credentials[read.credentialConfigurationId];
    const bound = { ...claims, cnf: { jwk: spoil.holder ?? publicOf(proof.signer.publicJwk) } };
    const jwk = spoil.signature ?? signer.jwk;
    const credential = await sdjwt.issue({ claims: bound, frame, jwk, header: { x5c: signer.x5c } });
    return [200, vci.createCredentialResponse({ credentialRequest: read, credentials: [{ credential }], notificationId: random() })];
  });
  route("POST", `${issuer}/notification`, async (request) => {
    await authorised(request);
    seen.notifications.push(request.json.event);
    return [204, undefined];
  });
  return { byValue: offer.credentialOffer, byReference: reference.credentialOffer };
}

export const report = async () => seen;
