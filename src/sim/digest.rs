//! Bytes as a number and as text: the same bytes always give the same.

use sha2::{Digest, Sha256};

/// A number that depends on the bytes only.
pub fn hash(bytes: &[u8]) -> u64 {
    Sha256::digest(bytes).iter().take(8).fold(0, |all, byte| (all << 8) | u64::from(*byte))
}

/// Two lower-case digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
