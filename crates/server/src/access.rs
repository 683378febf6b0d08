//! Who may use the server: bearer tokens, sessions of browsers, and a reverse proxy's word.

use crate::config::AccessConfig;
use crate::{Error, ErrorKind, Result};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method};
use multirnet_base::digest::{hex, sha256_bytes};
use multirnet_base::files;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

/// Fewest characters of a token in a file.
const SHORTEST_TOKEN: usize = 16;
/// Most characters of a name from a proxy.
const LONGEST_NAME: usize = 80;

/// Who may use the server.
pub(crate) struct Access {
    tokens: Vec<Known>,
    cookie: String,
    proxy: Option<(HeaderName, Vec<IpAddr>)>,
    /// The token that the person who starts the server opens the viewer with.
    pub own_token: Option<String>,
}

struct Known {
    name: Option<String>,
    token: [u8; 32],
    session: [u8; 32],
}

/// Someone who may use the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Person {
    /// The name, if the server knows it.
    pub name: Option<String>,
    /// Whether a browser vouches by itself, so that another site could make it ask.
    pub is_browser: bool,
}

impl Access {
    /// The rules of `config`. Without tokens of its own, the one in the file `own` counts, which is made
    /// if it is not there.
    ///
    /// # Errors
    /// `Read`, `Write`; `Config` for a file of tokens that is damaged or empty, or a wrong header.
    pub fn new(config: &AccessConfig, own: &Path) -> Result<Self> {
        let mut own_token = None;
        let mut tokens = Vec::new();
        if let Some(path) = &config.token_file {
            for (name, token) in read_tokens(path)? {
                tokens.push(Known::new(Some(name), &token));
            }
        } else if config.user_header.is_none() {
            let token = own_or_new(own)?;
            tokens.push(Known::new(None, &token));
            own_token = Some(token);
        }
        let all: Vec<u8> = tokens.iter().flat_map(|t| t.session).collect();
        // Cookies do not tell ports apart, so that servers on one host need names of their own.
        let cookie = format!("multirnet_{}", &hex(&sha256_bytes(&all))[..12]);
        let proxy = match &config.user_header {
            None => None,
            Some(name) => {
                let parsed = HeaderName::try_from(name.as_str());
                let header = parsed.map_err(|_| {
                    Error::new(
                        ErrorKind::Config,
                        format!("{name:?} is not the name of a header"),
                    )
                })?;
                Some((header, config.trusted_proxies.clone()))
            }
        };
        Ok(Self {
            tokens,
            cookie,
            proxy,
            own_token,
        })
    }

    /// Who sends a request with these headers from `peer`; `None` for someone unknown.
    pub fn person(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<Person> {
        self.by_token(headers)
            .or_else(|| self.by_cookie(headers))
            .or_else(|| {
                let (header, proxies) = self.proxy.as_ref()?;
                if !peer.is_some_and(|p| proxies.contains(&p)) {
                    return None;
                }
                let mut named = headers.get_all(header).iter();
                // Two names may be a client's attempt to pass for someone else.
                let (name, None) = (named.next()?, named.next()) else {
                    return None;
                };
                let name = std::str::from_utf8(name.as_bytes()).ok()?.trim();
                let is_name = !name.is_empty() && name.chars().count() <= LONGEST_NAME;
                is_name.then(|| Person {
                    name: Some(name.to_owned()),
                    is_browser: true,
                })
            })
    }

    fn by_token(&self, headers: &HeaderMap) -> Option<Person> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let known = self.known(token.trim())?;
        Some(Person {
            name: known.name.clone(),
            is_browser: false,
        })
    }

    fn by_cookie(&self, headers: &HeaderMap) -> Option<Person> {
        let cookies = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|c| c.to_str().ok());
        let mut pairs = cookies
            .flat_map(|c| c.split(';'))
            .filter_map(|c| c.trim().split_once('='));
        let session = pairs.find(|(name, _)| *name == self.cookie)?.1;
        let digest = sha256_bytes(session.as_bytes());
        let known = self
            .tokens
            .iter()
            .find(|k| equal(&sha256_bytes(hex(&k.session).as_bytes()), &digest))?;
        Some(Person {
            name: known.name.clone(),
            is_browser: true,
        })
    }

    fn known(&self, token: &str) -> Option<&Known> {
        let digest = sha256_bytes(token.as_bytes());
        self.tokens.iter().find(|k| equal(&k.token, &digest))
    }

    /// The cookie that stands for `token`, if it is known. The token cannot be told from it.
    pub fn session(&self, token: &str, is_https: bool) -> Option<String> {
        let session = hex(&self.known(token)?.session);
        let secure = if is_https { "; Secure" } else { "" };
        Some(format!(
            "{}={session}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000{secure}",
            self.cookie
        ))
    }
}

impl Known {
    fn new(name: Option<String>, token: &str) -> Self {
        Self {
            name,
            token: sha256_bytes(token.as_bytes()),
            session: sha256_bytes(format!("multirnet session {token}").as_bytes()),
        }
    }
}

/// Whether two digests are equal, in a time that does not depend on where they differ.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

/// Whether a request that changes something comes from this server's own pages. Browsers add their
/// session to requests of other sites' pages too.
pub(crate) fn is_same_site(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match text(ORIGIN.as_str()) {
        None => true,
        Some(origin) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == text(HOST.as_str())
        }
    }
}

fn own_or_new(path: &Path) -> Result<String> {
    if path.exists() {
        let token = files::read_text(path, "token")?.trim().to_owned();
        if token.len() >= SHORTEST_TOKEN {
            return Ok(token);
        }
        let error = Error::new(ErrorKind::Config, "the token is too short");
        return Err(error
            .hint("delete the file; the server makes a new one")
            .at(path));
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::new(
            ErrorKind::Read,
            format!("the system gives no random bytes: {e}"),
        )
    })?;
    let token = hex(&bytes);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(token.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|e| Error::write(path, "write the token", e))?;
    Ok(token)
}

fn read_tokens(path: &Path) -> Result<Vec<(String, String)>> {
    let text = files::read_text(path, "file of tokens")?;
    let bad = |line: usize, reason: &str| {
        Error::new(ErrorKind::Config, format!("line {}: {reason}", line + 1))
            .hint("write NAME TOKEN in each line; `openssl rand -hex 32` makes a token")
            .at(path)
    };
    let mut tokens: Vec<(String, String)> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, token)) = line.rsplit_once(char::is_whitespace) else {
            return Err(bad(i, "the name or the token is missing"));
        };
        if token.len() < SHORTEST_TOKEN {
            return Err(bad(i, "the token is shorter than 16 characters"));
        }
        tokens.push((name.trim().to_owned(), token.to_owned()));
    }
    match tokens.is_empty() {
        true => Err(Error::new(ErrorKind::Config, "the file holds no token").at(path)),
        false => Ok(tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn the_own_token_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let first = Access::new(&AccessConfig::default(), &path).unwrap();
        let again = Access::new(&AccessConfig::default(), &path).unwrap();
        let token = first.own_token.clone().unwrap();
        assert_eq!((token.len(), &again.own_token), (64, &first.own_token));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let bearer = format!("Bearer {token}");
        assert!(
            first
                .person(&headers(&[("authorization", &bearer)]), None)
                .is_some()
        );
        for wrong in ["Bearer x", "Basic abc", "Bearer", ""] {
            assert_eq!(
                first.person(&headers(&[("authorization", wrong)]), None),
                None
            );
        }
        let cookie = first.session(&token, false).unwrap();
        assert!(!cookie.contains(&token) && cookie.contains("HttpOnly"));
        let pair = cookie.split(';').next().unwrap();
        let person = first
            .person(&headers(&[("cookie", &format!("a=b; {pair}"))]), None)
            .unwrap();
        assert!(person.is_browser);
        let forged = format!("{}=00", pair.split('=').next().unwrap());
        assert_eq!(first.person(&headers(&[("cookie", &forged)]), None), None);
        assert_eq!(first.session("guess", false), None);
    }

    #[test]
    fn a_file_of_tokens_names_people() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        std::fs::write(
            &path,
            "# who\nDr. Ada Byron 0123456789abcdef\n\ngrace fedcba9876543210\n",
        )
        .unwrap();
        let config = AccessConfig {
            token_file: Some(path.clone()),
            ..AccessConfig::default()
        };
        let access = Access::new(&config, &dir.path().join("own")).unwrap();
        assert!(access.own_token.is_none() && !dir.path().join("own").exists());
        let found = access.person(
            &headers(&[("authorization", "bearer 0123456789abcdef")]),
            None,
        );
        assert_eq!(found.unwrap().name.as_deref(), Some("Dr. Ada Byron"));
        for (text, reason) in [
            ("", "holds no token"),
            ("ada", "line 1"),
            ("ada short", "line 1"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Access::new(&config, &path).err().unwrap().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_proxys_word_counts_from_its_address_only() {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let config = AccessConfig {
            user_header: Some("X-Remote-User".into()),
            trusted_proxies: vec![proxy],
            ..AccessConfig::default()
        };
        let access = Access::new(&config, Path::new("/no/such/place/token")).unwrap();
        let named = headers(&[("x-remote-user", "ada")]);
        assert_eq!(
            access.person(&named, Some(proxy)).unwrap().name.as_deref(),
            Some("ada")
        );
        assert_eq!(access.person(&named, "10.0.0.2".parse().ok()), None);
        assert_eq!(access.person(&named, None), None);
        let twice = headers(&[("x-remote-user", "ada"), ("x-remote-user", "root")]);
        assert_eq!(access.person(&twice, Some(proxy)), None);
        assert_eq!(
            access.person(&headers(&[("x-remote-user", " ")]), Some(proxy)),
            None
        );
    }

    #[test]
    fn other_sites_cannot_change_anything() {
        let post = Method::POST;
        let own = [
            ("origin", "http://127.0.0.1:8042"),
            ("host", "127.0.0.1:8042"),
        ];
        assert!(is_same_site(&post, &headers(&own)));
        assert!(is_same_site(
            &post,
            &headers(&[("sec-fetch-site", "same-origin")])
        ));
        assert!(is_same_site(&post, &headers(&[])));
        for foreign in [
            [
                ("origin", "http://evil.example"),
                ("host", "127.0.0.1:8042"),
            ],
            [("origin", "null"), ("host", "127.0.0.1:8042")],
            [("sec-fetch-site", "cross-site"), ("host", "x")],
            [("sec-fetch-site", "same-site"), ("host", "x")],
        ] {
            assert!(!is_same_site(&post, &headers(&foreign)), "{foreign:?}");
            assert!(is_same_site(&Method::GET, &headers(&foreign)));
        }
    }
}
