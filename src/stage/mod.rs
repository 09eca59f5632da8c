//! The product's story.
pub mod build;
pub mod evaluate;
