//! Where archives of PostgreSQL come from: a list of releases, and the files that it names.
//!
//! Owns HTTP, the reading of the list, and the check of what arrives. The list is that of a code host's API
//! (`releases`: `tag_name`, `assets` with `name` and `browser_download_url`), so that a mirror is a file of that
//! name with the archives beside it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::error::{ArchiveError, LIMIT, cache_error};
use super::progress;
use super::version::Version;

/// The archives of postgresql-binaries, built for many kinds of machine.
const DEFAULT: &str = "https://api.github.com/repos/theseus-rs/postgresql-binaries";
/// Names another source, or none by `off`.
const VARIABLE: &str = "LOCKPROOF_PG_ARCHIVE";
/// Pages of the list that are read at most.
const MOST_PAGES: usize = 50;
/// A page of the list is not longer than this, in bytes.
const LONGEST_PAGE: u64 = 32 << 20;
/// Nor is an archive.
const LONGEST_ARCHIVE: u64 = 1 << 30;

/// A source of archives.
pub(super) struct Source {
    /// Without a name or a password.
    base: String,
    /// What the source is told about who asks, if its address has a name or a password. Never shown.
    authorization: Option<String>,
    agent: ureq::Agent,
}

/// An archive, and what it must be.
pub(super) struct Asset {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) sha256: String,
    url: String,
}

#[derive(Deserialize)]
struct Release {
    tag_name: String,
    assets: Vec<Listed>,
}

#[derive(Deserialize, Clone)]
struct Listed {
    name: String,
    browser_download_url: String,
}

/// The kind of machine that an archive is for.
pub(super) fn target() -> String {
    let libc = match cfg!(target_env = "musl") {
        true => "musl",
        false => "gnu",
    };
    format!("{}-unknown-linux-{libc}", std::env::consts::ARCH)
}

impl Source {
    /// The one that the user has chosen, else the default.
    ///
    /// # Errors
    /// When none is wanted.
    pub(super) fn chosen() -> Result<Self, ArchiveError> {
        let chosen = std::env::var(VARIABLE).unwrap_or_default();
        let base = match chosen.trim() {
            "" => DEFAULT,
            "off" => return Err(ArchiveError::Off),
            chosen => chosen,
        };
        Ok(Self::at(base))
    }

    fn at(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_recv_body(Some(LIMIT))
            .user_agent(concat!("lockproof/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .build();
        let (base, who) = apart(base.trim_end_matches('/'));
        Self {
            base,
            authorization: who.map(|who| format!("Basic {}", STANDARD.encode(who))),
            agent: config.into(),
        }
    }

    /// Where it is.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The newest archive of a major version for this machine, with its checksum.
    pub(super) fn newest(&self, major: u32) -> Result<Asset, ArchiveError> {
        let target = target();
        let mut found: Vec<(Version, Listed, Option<Listed>)> = Vec::new();
        let mut page = Some(format!("{}/releases?per_page=100", self.base));
        for _ in 0..MOST_PAGES {
            let Some(url) = page else { break };
            let (releases, next) = self.page(&url)?;
            for release in releases {
                found.extend(archive_of(&release, &target));
            }
            page = next;
        }
        found.sort_by_key(|(version, ..)| *version);
        let wanted = found
            .iter()
            .rev()
            .find(|(version, ..)| version.major() == major);
        let Some((version, archive, checksum)) = wanted else {
            return Err(ArchiveError::NotThere {
                base: self.base.clone(),
                major,
                target,
                there: majors(&found),
            });
        };
        let none = || ArchiveError::NoChecksum {
            name: archive.name.clone(),
        };
        let checksum = checksum.as_ref().ok_or_else(none)?;
        let said = self.text(&self.full(&checksum.browser_download_url))?.0;
        Ok(Asset {
            name: archive.name.clone(),
            version: *version,
            sha256: sum_in(&said).ok_or_else(none)?,
            url: self.full(&archive.browser_download_url),
        })
    }

    /// Writes an archive to a file and checks it.
    pub(super) fn fetch(
        &self,
        asset: &Asset,
        file: &Path,
        stop: &AtomicBool,
    ) -> Result<(), ArchiveError> {
        let url = shown(&asset.url);
        let failed = |why: String| ArchiveError::Source {
            url: url.clone(),
            why,
        };
        let response = self.get(&asset.url)?;
        let length = response.body().content_length();
        let what = format!("PostgreSQL {}", asset.version);
        let bar = progress::bar(&what, &url, length);
        let body = response.into_body().into_with_config();
        let mut body = body.limit(LONGEST_ARCHIVE).reader();
        let mut to = File::create(file).map_err(cache_error("write", file))?;
        let mut sum = Sha256::new();
        let mut chunk = vec![0; 64 * 1024];
        let mut arrived = 0;
        loop {
            let size = body
                .read(&mut chunk)
                .map_err(|error| failed(error.to_string()))?;
            if stop.load(Ordering::Relaxed) {
                return Err(ArchiveError::Interrupted);
            }
            if size == 0 {
                break;
            }
            sum.update(&chunk[..size]);
            to.write_all(&chunk[..size])
                .map_err(cache_error("write", file))?;
            arrived += size as u64;
            bar.set_position(arrived);
        }
        bar.finish_and_clear();
        if let Some(length) = length
            && arrived < length
        {
            return Err(failed(format!(
                "it ended after {arrived} of {length} bytes"
            )));
        }
        let is = hex(&sum.finalize());
        match is == asset.sha256 {
            true => Ok(()),
            false => Err(ArchiveError::Checksum {
                url,
                is,
                wanted: asset.sha256.clone(),
            }),
        }
    }

    /// A page of the list, and where the next one is.
    fn page(&self, url: &str) -> Result<(Vec<Release>, Option<String>), ArchiveError> {
        let (text, next) = self.text(url)?;
        let releases = serde_json::from_str(&text).map_err(|error| ArchiveError::Source {
            url: shown(url),
            why: format!("it is no list of releases: {error}"),
        })?;
        Ok((releases, next))
    }

    /// What is there, as text, and what it says comes next.
    fn text(&self, url: &str) -> Result<(String, Option<String>), ArchiveError> {
        let mut response = self.get(url)?;
        let link = response.headers().get("link");
        let next = link.and_then(|link| next_in(link.to_str().ok()?));
        let body = response.body_mut().with_config().limit(LONGEST_PAGE);
        let text = body
            .read_to_string()
            .map_err(|error| ArchiveError::Source {
                url: shown(url),
                why: error.to_string(),
            })?;
        Ok((text, next))
    }

    fn get(&self, url: &str) -> Result<ureq::http::Response<ureq::Body>, ArchiveError> {
        let failed = |why: String| ArchiveError::Source {
            url: shown(url),
            why,
        };
        let (bare, who) = apart(url);
        let mut request = self.agent.get(&bare);
        // Nobody but the source itself is told who asks.
        let told = match who {
            Some(who) => Some(format!("Basic {}", STANDARD.encode(who))),
            None if origin(&bare) == origin(&self.base) => self.authorization.clone(),
            None => None,
        };
        if let Some(told) = told {
            request = request.header("authorization", told);
        }
        // The code host lets those who say who they are ask more often.
        let token = std::env::var("GITHUB_TOKEN").unwrap_or_default();
        if url.starts_with("https://api.github.com/") && !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.call().map_err(|error| failed(error.to_string()))?;
        match response.status().as_u16() {
            200 => Ok(response),
            status @ (403 | 429) if url.starts_with("https://api.github.com/") => {
                Err(failed(format!(
                    "HTTP status {status}; without GITHUB_TOKEN an address may ask 60 times an hour"
                )))
            }
            status => Err(failed(format!("HTTP status {status}"))),
        }
    }

    /// An address that may be relative to the base.
    fn full(&self, url: &str) -> String {
        match url.contains("://") {
            true => url.to_owned(),
            false => format!("{}/{}", self.base, url.trim_start_matches('/')),
        }
    }
}

/// An address without the name and password in it, and those as they are meant.
fn apart(url: &str) -> (String, Option<Vec<u8>>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.to_owned(), None);
    };
    let place = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password that is not written as a URL needs it may hold any of these.
    let Some(at) = rest[..place].rfind('@').or_else(|| rest.rfind('@')) else {
        return (url.to_owned(), None);
    };
    let who = percent_decoded(&rest[..at]);
    (format!("{scheme}://{}", &rest[at + 1..]), Some(who))
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..begin + end])
}

/// An address as it may be printed: without name and password, and without the query, in which a host may have
/// put a signature.
fn shown(url: &str) -> String {
    let bare = apart(url).0;
    let end = bare.find(['?', '#']).unwrap_or(bare.len());
    bare[..end].to_owned()
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3);
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// The archive of a release for this kind of machine, and its checksum.
fn archive_of(release: &Release, target: &str) -> Option<(Version, Listed, Option<Listed>)> {
    let version = Version::read(&release.tag_name)?;
    let named = |name: String| {
        release
            .assets
            .iter()
            .find(|asset| asset.name == name)
            .cloned()
    };
    let name = format!("postgresql-{version}-{target}.tar.gz");
    let archive = named(name.clone())?;
    Some((version, archive, named(format!("{name}.sha256"))))
}

fn majors(found: &[(Version, Listed, Option<Listed>)]) -> String {
    let mut majors: Vec<u32> = found.iter().map(|(version, ..)| version.major()).collect();
    majors.sort_unstable();
    majors.dedup();
    match majors.is_empty() {
        true => "none for it at all".to_owned(),
        false => {
            let majors: Vec<String> = majors.iter().map(u32::to_string).collect();
            majors.join(", ")
        }
    }
}

/// The first SHA-256 in a text: `SUM`, or `SUM  NAME`.
fn sum_in(text: &str) -> Option<String> {
    let is_sum =
        |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let sum = text.split_whitespace().find(is_sum)?;
    Some(sum.to_ascii_lowercase())
}

/// The address of the next page in a Link header.
fn next_in(link: &str) -> Option<String> {
    let next = link.split(',').find(|one| one.contains("rel=\"next\""))?;
    let url = next.split_once('<')?.1.split_once('>')?.0;
    Some(url.to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_for_this_machine_is_found_with_its_checksum() {
        let text = r#"{"tag_name": "16.2.0", "draft": false, "assets": [
            {"name": "postgresql-16.2.0-aarch64-apple-darwin.tar.gz", "browser_download_url": "m"},
            {"name": "postgresql-16.2.0-x86_64-unknown-linux-gnu.tar.gz", "browser_download_url": "a", "size": 7},
            {"name": "postgresql-16.2.0-x86_64-unknown-linux-gnu.tar.gz.sha256", "browser_download_url": "s"}]}"#;
        let release: Release = serde_json::from_str(text).unwrap();
        let (version, archive, checksum) =
            archive_of(&release, "x86_64-unknown-linux-gnu").unwrap();
        assert_eq!(version.to_string(), "16.2.0");
        assert_eq!(archive.browser_download_url, "a");
        assert_eq!(checksum.unwrap().browser_download_url, "s");
        assert!(archive_of(&release, "riscv64-unknown-linux-gnu").is_none());
    }

    #[test]
    fn a_checksum_is_read_with_and_without_a_name() {
        let sum = "A".repeat(64);
        let lower = Some("a".repeat(64));
        assert_eq!(sum_in(&format!("{sum}\n")), lower);
        assert_eq!(sum_in(&format!("{sum}  postgresql.tar.gz\n")), lower);
        assert_eq!(sum_in("<html>"), None);
    }

    #[test]
    fn the_next_page_is_read_from_the_header() {
        let link = r#"<https://h/r?page=1>; rel="prev", <https://h/r?page=3>; rel="next""#;
        assert_eq!(next_in(link).as_deref(), Some("https://h/r?page=3"));
        assert_eq!(next_in(r#"<https://h/r?page=1>; rel="prev""#), None);
    }

    #[test]
    fn a_name_and_a_password_are_sent_and_never_shown() {
        let source = Source::at("https://ci:p%40ss/w@mirror:8443/pg/");
        assert_eq!(source.base(), "https://mirror:8443/pg");
        let sent = format!("Basic {}", STANDARD.encode("ci:p@ss/w"));
        assert_eq!(source.authorization, Some(sent));
        let refused = source
            .get("https://ci:secret@127.0.0.1:1/a?sig=secret")
            .unwrap_err();
        assert!(!refused.to_string().contains("secret"), "{refused}");
        assert!(
            refused
                .to_string()
                .starts_with("https://127.0.0.1:1/a could"),
            "{refused}"
        );
        assert_eq!(Source::at("https://mirror/pg").authorization, None);
    }

    #[test]
    fn an_address_may_be_relative_to_the_mirror() {
        let source = Source::at("http://mirror/pg/");
        assert_eq!(
            source.full("16.2.0/a.tar.gz"),
            "http://mirror/pg/16.2.0/a.tar.gz"
        );
        assert_eq!(source.full("https://h/a"), "https://h/a");
    }
}
