//! What lies in a blob container, by name.

use reqwest::Method;

use super::{Azure, Datastore, Result, reply::Reply, wire::Outgoing};

/// Of 5,000 blobs each; a list that goes on beyond them is not ours.
const PAGES: usize = 10;

/// One blob of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// From the container down.
    pub name: String,
    pub bytes: u64,
}

impl Azure {
    /// All blobs whose names begin with `prefix`, in the order of their names.
    pub async fn list_blobs(&self, store: &Datastore, prefix: &str) -> Result<Vec<Listed>> {
        let mut all = Vec::new();
        let mut marker = String::new();
        for page in 1.. {
            let reply = self.send(self.list(store, prefix, &marker)?).await?;
            let text = std::str::from_utf8(&reply.body).map_err(|_| reply.malformed("it is not UTF-8"))?;
            read(&reply, text, &mut all)?;
            match element(text, "NextMarker").map(text_of).transpose().map_err(|what| reply.malformed(&what))? {
                Some(next) if !next.is_empty() && page < PAGES => marker = next,
                Some(next) if !next.is_empty() => {
                    return Err(reply.malformed(&format!("the list goes on after {PAGES} pages")));
                }
                _ => break,
            }
        }
        Ok(all)
    }

    fn list(&self, store: &Datastore, prefix: &str, marker: &str) -> Result<Outgoing> {
        let mut request = self.in_store(Method::GET, store, &[], format!("{}/{prefix}*", store.name))?;
        let mut query = request.url.query_pairs_mut();
        query.append_pair("restype", "container").append_pair("comp", "list").append_pair("prefix", prefix);
        if !marker.is_empty() {
            query.append_pair("marker", marker);
        }
        drop(query);
        request.within = self.inner.timeouts.read;
        Ok(request)
    }
}

/// The XML that List Blobs answers with is flat and written by one service; what does not look like it is an error.
fn read(reply: &Reply, text: &str, all: &mut Vec<Listed>) -> Result<()> {
    if !text.contains("<EnumerationResults") {
        return Err(reply.malformed("it is no list of blobs"));
    }
    for entry in text.split("<Blob>").skip(1) {
        let entry = entry.split("</Blob>").next().unwrap_or_default();
        let name = element(entry, "Name").ok_or_else(|| reply.malformed("a blob has no name"))?;
        let name = text_of(name).map_err(|what| reply.malformed(&what))?;
        let bytes = element(entry, "Content-Length").and_then(|length| length.parse().ok());
        let bytes = bytes.ok_or_else(|| reply.malformed(&format!("the length of {name} is no number")))?;
        all.push(Listed { name, bytes });
    }
    Ok(())
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
}

/// With the five entities of XML, and characters by number.
fn text_of(inner: &str) -> std::result::Result<String, String> {
    let mut out = String::new();
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (entity, tail) = after.split_once(';').ok_or_else(|| format!("`{inner}` is no text of XML"))?;
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            other => by_number(other).ok_or_else(|| format!("`&{other};` is not understood"))?,
        });
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn by_number(entity: &str) -> Option<char> {
    let digits = entity.strip_prefix('#')?;
    let number = match digits.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    char::from_u32(number.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::loopback::{Answer, Loopback, bearer, reply};

    fn store() -> Datastore {
        let (name, account) = ("workspaceblobstore".into(), "acct".into());
        Datastore { name, account, container: "c".into(), endpoint_suffix: "core.windows.net".into() }
    }

    fn page(blobs: &[(&str, &str)], next: &str) -> Answer {
        let entry = |(name, bytes): &(&str, &str)| {
            format!("<Blob><Name>{name}</Name><Properties><Content-Length>{bytes}</Content-Length></Properties></Blob>")
        };
        let entries: String = blobs.iter().map(entry).collect();
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"c\"><Prefix>a/</Prefix>\
             <Blobs>{entries}</Blobs>{next}</EnumerationResults>"
        );
        reply(200, &[("content-type", "application/xml")], text)
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_end() {
        let first = page(&[("a/b.txt", "3"), ("a/c &amp; d&#x21;", "0")], "<NextMarker>a/x&amp;y</NextMarker>");
        let server = Loopback::answering([first, page(&[("a/z", "7")], "<NextMarker />")]).await;
        let all = server.azure().list_blobs(&store(), "a/").await.expect("a list");
        let all: Vec<_> = all.iter().map(|blob| (blob.name.as_str(), blob.bytes)).collect();
        assert_eq!(all, [("a/b.txt", 3), ("a/c & d!", 0), ("a/z", 7)]);
        let seen = server.seen();
        assert_eq!(seen[0].target, "/c?restype=container&comp=list&prefix=a%2F");
        assert_eq!(seen[1].target, "/c?restype=container&comp=list&prefix=a%2F&marker=a%2Fx%26y");
        assert_eq!(seen[0].header("authorization"), Some(&*bearer("https://storage.azure.com/.default")));
    }

    #[tokio::test]
    async fn what_is_no_list_is_an_error() {
        for (answer, says) in [
            (reply(200, &[], "<html>"), "it is no list of blobs"),
            (page(&[("a", "many")], ""), "the length of a is no number"),
            (page(&[("a&b", "1")], ""), "is no text of XML"),
            (page(&[("a&nbsp;b", "1")], ""), "`&nbsp;` is not understood"),
        ] {
            let server = Loopback::answering([answer]).await;
            let error = server.azure().list_blobs(&store(), "a/").await.expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
