//! The keys that sign and verify ServiceAccount tokens.

use super::jwt::base64url;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// DER of a SubjectPublicKeyInfo for an uncompressed P-256 point, up to the point (RFC 5480).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the ServiceAccount signing key is no PKCS#8 PEM: {0}")]
    Pem(String),
    #[error("the ServiceAccount signing key is no P-256 key: {0}")]
    Curve(String),
}

/// The key that signs tokens; its public half verifies them.
pub struct SigningKeys {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    public: Vec<u8>,
    id: String,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// Reads a P-256 private key in PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| KeyError::Pem(error.to_string()))?;
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random)
                .map_err(|error| KeyError::Curve(error.to_string()))?;
        let public = pair.public_key().as_ref().to_vec();
        let mut info = P256_SPKI_PREFIX.to_vec();
        info.extend_from_slice(&public);
        let id = base64url(digest(&SHA256, &info).as_ref());
        Ok(Self { pair, random, public, id })
    }

    /// The key's id: base64url of the SHA-256 of its public key in DER, as kube-apiserver makes it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The signature over `message` in the fixed form of RFC 7518; `None` when the system has no randomness.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.pair.sign(&self.random, message).ok().map(|signature| signature.as_ref().to_vec())
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.public).verify(message, signature).is_ok()
    }

    /// The JSON Web Key Set with the public keys (RFC 7517).
    pub fn jwks(&self) -> Value {
        // An uncompressed point: 0x04, then the two coordinates.
        let (x, y) = self.public[1..].split_at(32);
        json!({"keys": [{
            "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256",
            "x": base64url(x), "y": base64url(y),
        }]})
    }
}
