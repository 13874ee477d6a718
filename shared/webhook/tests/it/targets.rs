//! Ways in which a URL can lead inside without saying so.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use proptest::prelude::*;
use webhook::{Allowed, Rules, Target, TargetError};

use crate::addresses::{any_v4, any_v6, is_public};

/// Rules for any port, so that the address decides.
fn any_port() -> Rules {
    Rules {
        allowed: Allowed::public(),
        ports: (0..=u16::MAX).collect(),
    }
}

/// The kinds of bypass are those collected by
/// <https://github.com/swisskyrepo/PayloadsAllTheThings/tree/master/Server%20Side%20Request%20Forgery> (read
/// 2026-11-29).
#[test]
fn known_ways_around_a_filter_are_refused() {
    for url in [
        // the usual targets
        "://localhost/",
        "://localhost./",
        "://LOCALHOST/",
        "://localhost:22/",
        "://loc%61lhost/",
        "://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
        "://a.localhost/",
        "://localhost../",
        "://ip6-localhost/",
        "://ip6-loopback/",
        "://127.0.0.1/",
        "://127.127.127.127/",
        "://127.0.0.0/",
        "://0.0.0.0/",
        "://0/",
        // short, decimal, octal, hexadecimal and mixed forms
        "://127.1/",
        "://127.0.1/",
        "://2130706433/",
        "://3232235521/",
        "://2852039166/",
        "://0177.0.0.1/",
        "://0177.1/",
        "://00000177.0.0.1/",
        "://017700000001/",
        "://0x7f000001/",
        "://0x7f.1/",
        "://0X7F.0x0.0x0.0X1/",
        "://0x7f.0.0.1./",
        "://0xa9fea9fe/",
        "://0251.0376.0251.0376/",
        "://169.0376.0xa9fe/",
        "://0x/",
        // overflow: refused instead of cut to 32 bits
        "://425.510.425.510/",
        "://7147006462/",
        "://0x17f000001/",
        "://127.0.0.256/",
        "://127.0.0.1.1/",
        // other digits and dots
        "://①②⑦.⓪.⓪.①/",
        "://１２７.０.０.１/",
        "://127。0。0。1/",
        "://127．0．0．1/",
        "://127｡0｡0｡1/",
        "://%31%32%37.0.0.1/",
        "://127%2e0%2e0%2e1/",
        "://127.0.0.1%00.example.com/",
        "://127.0.0\u{ad}.1/",
        // IPv6
        "://[::]/",
        "://[::1]/",
        "://[0000::1]/",
        "://[0:0:0:0:0:0:0:1]/",
        "://[::ffff:127.0.0.1]/",
        "://[0:0:0:0:0:ffff:127.0.0.1]/",
        "://[::ffff:7f00:1]/",
        "://[::ffff:0:127.0.0.1]/",
        "://[::127.0.0.1]/",
        "://[64:ff9b::127.0.0.1]/",
        "://[64:ff9b:1::a9fe:a9fe]/",
        "://[2002:7f00:1::]/",
        "://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
        "://[fe80::1]/",
        "://[fe80::1%25lo]/",
        "://[fec0::1]/",
        "://[fc00::1]/",
        "://[ff02::1]/",
        "://[::1%00]/",
        // the clouds' metadata services
        "://169.254.169.254/latest/meta-data",
        "://[fd00:ec2::254]/",
        "://[::ffff:169.254.169.254]/",
        "://metadata.google.internal/",
        "://instance-data.ec2.internal/",
        "://metadata/",
        "://100.100.100.200/latest/",
        "://192.0.0.192/",
        "://169.254.170.2/v2/credentials",
        "://169.254.100.1:9001/2018-06-01/runtime/invocation/next",
        // parts of a URL that programs confuse
        "://example.com@127.0.0.1/",
        "://example.com:443@127.0.0.1/",
        "://127.0.0.1@example.com/",
        "://127.0.0.1#@example.com/",
        "://127.0.0.1\\@example.com/",
        "://example.com\\@127.0.0.1/",
        "://example.com#@127.0.0.1/",
        "://127.1.1.1:80\\@127.2.2.2:80/",
        "://127.1.1.1:80\\@@127.2.2.2:80/",
        "://127.1.1.1:80#\\@127.2.2.2:80/",
        "://1.1.1.1 &@2.2.2.2# @3.3.3.3/",
        ":///127.0.0.1/",
        ":////127.0.0.1/",
        "://127.0.0.1:443:80/",
        "://example.com:80:443/",
        "://127.0.0.1\t/",
        "://127.0.0.1\r\nhost: example.com/",
        ":127.0.0.1/",
        ":/127.0.0.1/",
        ":\\\\127.0.0.1\\",
    ] {
        for scheme in ["https", "http", "HTTPS"] {
            let url = format!("{scheme}{url}");
            let parsed = Target::parse(&url, &any_port());
            assert!(
                parsed.is_err(),
                "{url} became {}",
                parsed.expect("a target")
            );
        }
    }
    for url in [
        "//127.0.0.1/",
        "127.0.0.1",
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:6379/_PING",
        "dict://127.0.0.1:11211/stat",
        "ldap://127.0.0.1/",
        "jar:https://127.0.0.1!/",
        "data:text/plain,hello",
        "blob:https://127.0.0.1/",
        "view-source:https://127.0.0.1/",
        "0://example.com:80;https://127.0.0.1:80/",
        "ws://127.0.0.1/",
        "unix:///var/run/docker.sock",
    ] {
        assert!(Target::parse(url, &any_port()).is_err(), "{url}");
    }
}

#[test]
fn digits_that_no_resolver_reads_as_an_address_are_a_name() {
    // Thai digits. The addresses of the name are checked at each connection, as those of any name.
    let target = Target::parse("https://๑๒๗.๐.๐.๑/", &Rules::default()).expect("a target");
    assert_eq!(target.host(), "xn--c5ccp.xn--b5c.xn--b5c.xn--c5c");
}

#[test]
fn a_refused_address_and_a_refused_name_get_the_same_words() {
    for url in [
        "https://10.0.0.1/",
        "https://169.254.169.254/",
        "https://[::1]/",
        "https://2130706433/",
        "https://localhost/",
        "https://metadata.google.internal/",
    ] {
        let error = Target::parse(url, &Rules::default()).expect_err(url);
        assert_eq!(error, TargetError::Address, "{url}");
        assert_eq!(error.to_string(), "the URL must lead to a public address");
        assert_eq!(
            error.to_string(),
            webhook::ResolveError::Refused.to_string()
        );
    }
}

/// A way to write one number of an IPv4 address.
#[derive(Debug, Clone, Copy)]
enum Radix {
    Decimal,
    Octal(usize),
    Hex(usize),
    UpperHex,
}

fn any_radix() -> impl Strategy<Value = Radix> {
    prop_oneof![
        Just(Radix::Decimal),
        (0_usize..4).prop_map(Radix::Octal),
        (0_usize..4).prop_map(Radix::Hex),
        Just(Radix::UpperHex),
    ]
}

fn written(number: u32, radix: Radix) -> String {
    match radix {
        Radix::Decimal => number.to_string(),
        Radix::Octal(zeros) => format!("0{}{number:o}", "0".repeat(zeros)),
        Radix::Hex(zeros) => format!("0x{}{number:x}", "0".repeat(zeros)),
        Radix::UpperHex => format!("0X{number:X}"),
    }
}

/// A way to write ASCII in other characters.
#[derive(Debug, Clone, Copy)]
enum Script {
    Ascii,
    FullWidth,
    Circled,
    Percent,
}

fn transcribed(text: &str, script: Script) -> String {
    let shifted = |char: char, from: u32, to: u32| {
        char::from_u32(u32::from(char) - from + to).expect("a character")
    };
    text.chars().fold(String::new(), |mut text, char| {
        match (script, char) {
            (Script::Ascii, _) => text.push(char),
            (Script::FullWidth, _) => text.push(shifted(char, 0x21, 0xff01)),
            (Script::Circled, '0') => text.push('⓪'),
            (Script::Circled, '1'..='9') => text.push(shifted(char, 0x31, 0x2460)),
            (Script::Circled, 'a'..='z') => text.push(shifted(char, 0x61, 0x24d0)),
            (Script::Circled, 'A'..='Z') => text.push(shifted(char, 0x41, 0x24b6)),
            (Script::Circled, '.') => text.push('。'),
            (Script::Circled, _) => text.push(char),
            (Script::Percent, _) => write!(text, "%{:02x}", u32::from(char)).expect("writes"),
        }
        text
    })
}

/// A spelling of an IPv4 address as browsers and `inet_aton` read it: one to four numbers, of which the last covers the
/// remaining bytes.
fn spelled(
    address: Ipv4Addr,
    parts: usize,
    radixes: [Radix; 4],
    dot: bool,
    script: Script,
) -> String {
    let octets = address.octets();
    let mut numbers: Vec<u32> = octets[..parts - 1].iter().copied().map(u32::from).collect();
    let rest = octets[parts - 1..].iter();
    numbers.push(rest.fold(0, |number, octet| (number << 8) | u32::from(*octet)));
    let texts: Vec<_> = numbers
        .into_iter()
        .zip(radixes)
        .map(|(number, radix)| written(number, radix))
        .collect();
    let dot = if dot { "." } else { "" };
    transcribed(&format!("{}{dot}", texts.join(".")), script)
}

fn any_script() -> impl Strategy<Value = Script> {
    prop_oneof![
        Just(Script::Ascii),
        Just(Script::FullWidth),
        Just(Script::Circled),
        Just(Script::Percent),
    ]
}

/// Texts that resemble URLs, with the pieces that parsers confuse.
fn like_a_url() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "https",
            "http",
            "HTTPS",
            ":",
            "//",
            "/",
            "\\",
            "@",
            "#",
            "?",
            "[",
            "]",
            "%",
            ".",
            "..",
            "example.com",
            "localhost",
            "127.0.0.1",
            "::1",
            "::ffff:",
            "0x7f",
            "2130706433",
            "443",
            "xn--",
            "。",
            "①",
            "\u{ad}",
            "\t",
            "%2e",
            "%00",
            "_",
            "-",
            "\u{202e}",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9.-]{0,8}",
        ".",
    ];
    let start = prop::sample::select(vec!["https://", "http://", "https:", ""]);
    (start, prop::collection::vec(piece, 0..10))
        .prop_map(|(start, pieces)| format!("{start}{}", pieces.concat()))
}

/// Whatever is accepted is written in its usual form, has https, and states no address that is not public.
fn holds(text: &str) -> Result<(), TestCaseError> {
    let rules = any_port();
    let Ok(target) = Target::parse(text, &rules) else {
        return Ok(());
    };
    let usual = target.to_string();
    prop_assert!(usual.starts_with("https://"), "{}", usual);
    let again = Target::parse(&usual, &rules);
    prop_assert_eq!(again.as_ref(), Ok(&target), "{}", usual);
    prop_assert_eq!(again.map(|target| target.to_string()), Ok(usual));
    let host = target.host().trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        prop_assert!(is_public(address), "{}", address);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn an_ipv4_address_is_judged_alike_in_every_spelling(
        address in any_v4(),
        parts in 1_usize..=4,
        radixes in prop::array::uniform4(any_radix()),
        dot in any::<bool>(),
        script in any_script(),
    ) {
        let spelling = spelled(address, parts, radixes, dot, script);
        let judged = Target::parse(&format!("https://{spelling}/"), &Rules::default());
        if is_public(address.into()) {
            prop_assert_eq!(judged.map(|target| target.to_string()), Ok(format!("https://{address}/")));
        } else {
            prop_assert_eq!(judged, Err(TargetError::Address), "{}", spelling);
        }
    }

    #[test]
    fn an_ipv6_address_is_judged_alike_in_every_spelling(address in any_v6(), upper in any::<bool>()) {
        let groups = address.segments().map(|group| format!("{group:04x}"));
        let [a, b, c, d] = Ipv4Addr::from(u32::try_from(u128::from(address) & 0xffff_ffff).expect("32 bits")).octets();
        let dotted = format!("{}:{a}.{b}.{c}.{d}", groups[..6].join(":"));
        for mut spelling in [address.to_string(), groups.join(":"), dotted] {
            if upper {
                spelling = spelling.to_uppercase();
            }
            let judged = Target::parse(&format!("https://[{spelling}]/"), &Rules::default());
            if is_public(address.into()) {
                prop_assert!(judged.is_ok(), "{}", spelling);
            } else {
                prop_assert_eq!(judged, Err(TargetError::Address), "{}", spelling);
            }
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        holds(&text)?;
        holds(&format!("https://{text}"))?;
        holds(&format!("https://example.com/{text}"))?;
    }

    #[test]
    fn what_resembles_a_url_is_read_the_same_again(text in like_a_url()) {
        holds(&text)?;
    }
}
