//! Who may use the server: bearer tokens, sessions of browsers, and a reverse proxy's word.

use crate::config::AccessConfig;
use crate::guesses::{Guesses, TooMany};
use crate::queue::is_plain;
use crate::{Error, ErrorKind, Result};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method};
use multirnet_base::digest::{hex, sha256_bytes};
use multirnet_base::files;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Instant;

/// Fewest characters of a token in a file.
const SHORTEST_TOKEN: usize = 16;
/// Most characters of a name from a proxy.
const LONGEST_NAME: usize = 80;

/// Who may use the server.
pub(crate) struct Access {
    tokens: Vec<Known>,
    cookie: String,
    proxy: Option<(HeaderName, Vec<IpAddr>)>,
    guesses: Guesses,
    /// The token that the person who starts the server opens the viewer with.
    pub own_token: Option<String>,
}

struct Known {
    name: Option<String>,
    token: [u8; 32],
    session: [u8; 32],
    /// Of the session's digits, as the cookie has them.
    session_digest: [u8; 32],
}

/// Someone who may use the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Person {
    /// The name, if the server knows it.
    pub name: Option<String>,
    /// Whether a browser vouches by itself, so that another site could make it ask.
    pub is_browser: bool,
}

/// What the rules say of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It comes from someone who may use the server.
    Known(Person),
    /// It shows neither a token nor a session.
    Unknown,
    /// It shows a token or a session that is wrong.
    Wrong,
    /// Its address gave too many wrong ones.
    TooMany(TooMany),
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
            guesses: Guesses::default(),
            own_token,
        })
    }

    /// Who sends a request with these headers from `peer`.
    pub fn judge(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Judgement {
        if let Some(person) = self.by_proxy(headers, peer) {
            return Judgement::Known(person);
        }
        let bearer = bearer(headers);
        let place = match &bearer {
            Some(token) => self.place(|known| &known.token, token),
            None => match self.cookie(headers) {
                Some(session) => self.place(|known| &known.session_digest, session),
                None => return Judgement::Unknown,
            },
        };
        match self.attempt(peer, place) {
            Ok(Some(known)) => Judgement::Known(Person {
                name: known.name.clone(),
                is_browser: bearer.is_none(),
            }),
            Ok(None) => Judgement::Wrong,
            Err(too_many) => Judgement::TooMany(too_many),
        }
    }

    /// Whom the proxy names.
    fn by_proxy(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<Person> {
        let (header, proxies) = self.proxy.as_ref()?;
        if !peer.is_some_and(|p| proxies.contains(&p.to_canonical())) {
            return None;
        }
        // Programs behind the proxy say by a token who they are.
        if bearer(headers).is_some_and(|token| self.place(|k| &k.token, token).is_some()) {
            return None;
        }
        let mut named = headers.get_all(header).iter();
        // Two names may be a client's attempt to pass for someone else.
        let (name, None) = (named.next()?, named.next()) else {
            return None;
        };
        let name = std::str::from_utf8(name.as_bytes()).ok()?.trim();
        let is_name =
            !name.is_empty() && name.chars().count() <= LONGEST_NAME && name.chars().all(is_plain);
        is_name.then(|| Person {
            name: Some(name.to_owned()),
            is_browser: true,
        })
    }

    fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|c| c.to_str().ok());
        let mut pairs = cookies
            .flat_map(|c| c.split(';'))
            .filter_map(|c| c.trim().split_once('='));
        Some(pairs.find(|(name, _)| *name == self.cookie)?.1)
    }

    /// The place of the person whose `digest` is that of `secret`. All are compared, so the time does
    /// not tell which one it is, or how near the secret comes.
    fn place(&self, digest: impl Fn(&Known) -> &[u8; 32], secret: &str) -> Option<usize> {
        let given = sha256_bytes(secret.as_bytes());
        let mut found = None;
        for (place, known) in self.tokens.iter().enumerate() {
            if equal(digest(known), &given) {
                found = Some(place);
            }
        }
        found
    }

    /// An attempt to come in with a right or wrong token.
    fn attempt(
        &self,
        peer: Option<IpAddr>,
        place: Option<usize>,
    ) -> std::result::Result<Option<&Known>, TooMany> {
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.guesses.judge(peer, place, Instant::now())?;
        Ok(place.and_then(|place| self.tokens.get(place)))
    }

    /// Whether the request has a session of a browser that counts. It is not an attempt to come in.
    pub fn has_session(&self, headers: &HeaderMap) -> bool {
        let session = self.cookie(headers);
        session.is_some_and(|s| self.place(|k| &k.session_digest, s).is_some())
    }

    /// The cookie that stands for `token`, if it is known. The token cannot be told from it.
    ///
    /// # Errors
    /// The address `peer` gave too many wrong tokens.
    pub fn session(
        &self,
        token: &str,
        is_https: bool,
        peer: Option<IpAddr>,
    ) -> std::result::Result<Option<String>, TooMany> {
        let place = self.place(|k| &k.token, token);
        let Some(known) = self.attempt(peer, place)? else {
            return Ok(None);
        };
        let session = hex(&known.session);
        let secure = if is_https { "; Secure" } else { "" };
        Ok(Some(format!(
            "{}={session}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000{secure}",
            self.cookie
        )))
    }
}

/// The token of a request. Two of them may be an attempt to have one judged by a proxy and the other
/// one here.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Known {
    fn new(name: Option<String>, token: &str) -> Self {
        let session = sha256_bytes(format!("multirnet session {token}").as_bytes());
        Self {
            name,
            token: sha256_bytes(token.as_bytes()),
            session,
            session_digest: sha256_bytes(hex(&session).as_bytes()),
        }
    }
}

/// Whether two digests are equal, in a time that does not depend on where they differ.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

/// Whether a request of a browser comes from this server's own pages, or from nobody's. Browsers add
/// their session to requests of other sites' pages too. Without the headers that say where a request
/// comes from, one that changes nothing is let through: its answer stays unreadable for other sites.
pub(crate) fn is_same_site(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let is_reading = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if let Some(site) = text("sec-fetch-site") {
        // A link on another site may lead here; a picture or a script of it may not ask.
        let is_link = is_reading
            && text("sec-fetch-mode") == Some("navigate")
            && text("sec-fetch-dest") == Some("document");
        return matches!(site, "same-origin" | "none") || is_link;
    }
    if is_reading {
        return true;
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

    impl Access {
        fn person(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<Person> {
            match self.judge(headers, peer) {
                Judgement::Known(person) => Some(person),
                _ => None,
            }
        }
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
        let cookie = first.session(&token, false, None).unwrap().unwrap();
        assert!(!cookie.contains(&token) && cookie.contains("HttpOnly"));
        let pair = cookie.split(';').next().unwrap();
        let person = first
            .person(&headers(&[("cookie", &format!("a=b; {pair}"))]), None)
            .unwrap();
        assert!(person.is_browser);
        let forged = format!("{}=00", pair.split('=').next().unwrap());
        assert_eq!(first.person(&headers(&[("cookie", &forged)]), None), None);
        assert_eq!(first.session("guess", false, None), Ok(None));
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
            let is_told = foreign[0].0 == "sec-fetch-site";
            assert_eq!(is_same_site(&Method::GET, &headers(&foreign)), !is_told);
        }
        let site = ("sec-fetch-site", "cross-site");
        let (mode, dest) = (
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        );
        assert!(is_same_site(&Method::GET, &headers(&[site, mode, dest])));
        assert!(!is_same_site(&post, &headers(&[site, mode, dest])));
        let frame = ("sec-fetch-dest", "iframe");
        assert!(!is_same_site(&Method::GET, &headers(&[site, mode, frame])));
    }
}
