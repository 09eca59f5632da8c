//! One story an Azure API: a token that it does not take is said so, in a condition.
