//! What the provisioning state of an endpoint or a deployment means. Azure's words are compared without regard to case.

/// No operation is under way. `Failed` and `Canceled` are at rest too.
pub fn at_rest(state: &str) -> bool {
    succeeded(state) || failed(state)
}

pub fn succeeded(state: &str) -> bool {
    state.eq_ignore_ascii_case("Succeeded")
}

/// The last operation came to nothing.
pub fn failed(state: &str) -> bool {
    ["Failed", "Canceled"].iter().any(|end| end.eq_ignore_ascii_case(state))
}
