// npm @openid4vc/openid4vci as a wallet: the whole passport with one offer and one PIN.
import { Openid4vciClient } from "@openid4vc/openid4vci";
import { callbacks } from "./callbacks.mjs";
import { publicOf } from "./keys.mjs";

export async function metadata({ issuer }) {
  return new Openid4vciClient({ callbacks: callbacks() }).resolveIssuerMetadata(issuer);
}

export async function receive({ offer, txCode, holder, notify }) {
  const client = new Openid4vciClient({ callbacks: callbacks(holder) });
  const credentialOffer = await client.resolveCredentialOffer(offer);
  const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer);
  const { accessTokenResponse } = await client.retrievePreAuthorizedCodeAccessTokenFromOffer({ credentialOffer, issuerMetadata, txCode });
  const received = {};
  for (const credentialConfigurationId of credentialOffer.credential_configuration_ids) {
    const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata });
    const { jwt } = await client.createCredentialRequestJwtProof({
      issuerMetadata, credentialConfigurationId, nonce, signer: { method: "jwk", alg: "ES256", publicJwk: publicOf(holder) },
    });
    const { credentialResponse } = await client.retrieveCredentials({
      issuerMetadata, credentialConfigurationId, accessToken: accessTokenResponse.access_token, proofs: { jwt: [jwt] },
    });
    received[credentialConfigurationId] = credentialResponse.credentials.map((c) => c.credential ?? c);
    if (notify && credentialResponse.notification_id) {
      await client.sendNotification({
        issuerMetadata, accessToken: accessTokenResponse.access_token,
        notification: { notificationId: credentialResponse.notification_id, event: "credential_accepted" },
      });
    }
  }
  return { issuer: credentialOffer.credential_issuer, received };
}
