//! Entra ID: tokens in exchange for a Kubernetes ServiceAccount's assertion, and the check of those tokens.
//!
//! The exchange is the OAuth 2.0 client credentials grant with a JWT bearer assertion (RFC 7523), as Microsoft's
//! workload identity federation uses it. Error numbers are the documented AADSTS codes.

mod exchange;
mod jwt;
mod refusal;
mod tenant;
#[cfg(test)]
mod tests;
mod tokens;

pub use exchange::handle;
pub use refusal::Flavour;
pub use tenant::{Federated, Issuer, RESOURCES, audience, is_resource};
pub use tokens::{Claims, Entra, Misissue};
