//! What calls answer.

use jiff::Timestamp;

use super::Error;

/// What every call answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A value with the time at which Azure says that it answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<T> {
    pub value: T,
    /// The `Date` header of the reply, in whole seconds; absent if a proxy dropped it.
    pub date: Option<Timestamp>,
}

impl<T> Seen<T> {
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Seen<U> {
        Seen { value: f(self.value), date: self.date }
    }
}

/// A write that the service has accepted. It is done when the resource says so, or its operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Where to poll with [`super::Azure::get_operation`]. Absent if the service named none, or one outside this cloud; then
    /// read the resource's provisioning state instead.
    pub operation: Option<url::Url>,
    pub date: Option<Timestamp>,
}
