//! What people do in the middle of a release: abort, delete, ship another version, refer to the endpoint twice.
