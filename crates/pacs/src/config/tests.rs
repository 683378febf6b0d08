use super::*;

const EXAMPLE: &str = include_str!("../../../../configs/pacs.toml");

fn parse(text: &str) -> Result<Config> {
    Config::parse(text, Path::new("/etc/multirnet"))
}

fn changed(from: &str, to: &str) -> Error {
    assert!(EXAMPLE.contains(from), "{from}");
    parse(&EXAMPLE.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn the_example_is_read_and_its_paths_lie_in_its_folder() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.listener.ae_title, "MULTIRNET");
    assert_eq!(config.store.folder, Path::new("/etc/multirnet/pacs-store"));
    assert_eq!(config.delivery.to, ["archive"]);
    assert!(matches!(config.node("archive").unwrap(), Node::Dimse(_)));
    assert!(
        config
            .node("none")
            .unwrap_err()
            .to_string()
            .contains("archive")
    );
}

#[test]
fn faults_are_named_with_field_and_remedy() {
    for (from, to, told) in [
        (
            "max_associations = 16",
            "max_associations = 0",
            "listener.max_associations = 0",
        ),
        ("quiet_seconds = 60", "quiet_second = 60", "quiet_second"),
        (
            "ae_title = \"MULTIRNET\"",
            "ae_title = \"A TITLE THAT IS TOO LONG\"",
            "1 to 16",
        ),
        (
            "to = [\"archive\"]",
            "to = [\"other\"]",
            "no node has the name",
        ),
        (
            "addresses = [\"127.0.0.1\", \"10.1.0.0/16\"]",
            "addresses = [\"10.1.0.0/40\"]",
            "10.1.0.0/40",
        ),
        ("station = \"none\"", "station = \"\"", "results.station"),
        ("protocol = \"dimse\"", "protocol = \"ftp\"", "ftp"),
        (
            "address = \"127.0.0.1:4242\"",
            "url = \"http://x\"",
            "does not use",
        ),
    ] {
        let error = changed(from, to);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
    let unknown = changed("quiet_seconds = 60", "quiet_second = 60");
    assert!(unknown.to_string().starts_with("line "), "{unknown}");
}

#[test]
fn a_listener_that_admits_nobody_is_refused() {
    let text = "[listener]\nae_title = \"A\"\naddress = \"127.0.0.1:0\"\n[store]\nfolder = \"s\"\n";
    let error = parse(text).unwrap_err();
    assert!(error.to_string().contains("[[listener.allow]]"), "{error}");
    assert!(parse(&format!("{text}[[listener.allow]]\n")).is_ok());
}

#[test]
fn https_needs_authorities_and_logins_are_whole() {
    let base = "[listener]\nae_title = \"A\"\naddress = \"127.0.0.1:0\"\n[[listener.allow]]\n\
                [store]\nfolder = \"s\"\n[[node]]\nname = \"w\"\nprotocol = \"dicomweb\"\n";
    let told = |rest: &str| parse(&format!("{base}{rest}")).unwrap_err().to_string();
    assert!(told("url = \"https://x\"\n").contains("tls.ca"));
    assert!(told("url = \"ftp://x\"\n").contains("not http"));
    assert!(told("url = \"http://x\"\nuser = \"u\"\n").contains("user and password"));
    assert!(
        told("url = \"http://x\"\ntoken = { env = \"MULTIRNET_UNSET\" }\n").contains("not set")
    );
    assert!(told("url = \"http://x\"\ntoken = \"plain\"\n").contains("line"));
    assert!(parse(&format!("{base}url = \"http://x/\"\n")).is_ok());
}
