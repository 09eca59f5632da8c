//! The product's story.
pub mod build;
