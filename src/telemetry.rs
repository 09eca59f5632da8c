//! Logs: JSON lines on standard error, or readable ones if that is a terminal.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Which spans and events are logged; `RUST_LOG` replaces it. Libraries below us repeat what our own lines say.
const DEFAULT_FILTER: &str = "info,kube_client=warn,kube_runtime=warn,azure_core=warn,azure_identity=warn";

/// Starts logging for the whole process. A second call changes nothing. A `RUST_LOG` that does not parse is reported, and
/// the default holds.
pub fn init() {
    let (filter, wrong) = filter(std::env::var("RUST_LOG").ok().as_deref());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = if io::stderr().is_terminal() {
        logs.try_init()
    } else {
        logs.json().flatten_event(true).with_span_list(false).with_ansi(false).try_init()
    };
    if let (Ok(()), Some(wrong)) = (started, wrong) {
        tracing::warn!("{wrong}");
    }
}

/// The filter, and what is wrong with `asked`.
fn filter(asked: Option<&str>) -> (EnvFilter, Option<String>) {
    let asked = asked.filter(|text| !text.trim().is_empty()).unwrap_or(DEFAULT_FILTER);
    match EnvFilter::try_new(asked) {
        Ok(filter) => (filter, None),
        Err(error) => {
            let wrong = format!(
                "RUST_LOG={asked:?} is no filter ({error}); logging with {DEFAULT_FILTER:?}. Write levels as in `info` or `promptrelease=debug,warn`"
            );
            (EnvFilter::new(DEFAULT_FILTER), Some(wrong))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_a_filter() {
        for absent in [None, Some(""), Some(" ")] {
            let (filter, wrong) = filter(absent);
            assert!(wrong.is_none() && filter.to_string().contains("kube_client=warn"), "{filter}");
        }
    }

    #[test]
    fn rust_log_replaces_the_default() {
        let (filter, wrong) = filter(Some("promptrelease=debug,warn"));
        assert!(wrong.is_none() && !filter.to_string().contains("kube_client"), "{filter}");
    }

    #[test]
    fn a_wrong_filter_is_named_and_the_default_holds() {
        let (filter, wrong) = filter(Some("promptrelease=loud"));
        assert!(wrong.expect("told").contains("promptrelease=loud"));
        assert!(filter.to_string().contains("kube_client=warn"), "{filter}");
    }
}
