//! Compares the judgement of addresses with the registries, written down a second time as text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use webhook::Allowed;

/// The entries of <https://www.iana.org/assignments/iana-ipv4-special-registry> that are not globally reachable, the
/// block of protocol assignments as a whole, and multicast.
const NOT_PUBLIC_V4: &str = "
    0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
    192.0.0.8/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15
    198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 255.255.255.255/32";

/// The same of <https://www.iana.org/assignments/iana-ipv6-special-registry>, with the networks whose addresses contain
/// an IPv4 address, site-local addresses, and everything outside of 2000::/3, network by network.
const NOT_PUBLIC_V6: &str = "
    ::/128 ::1/128 ::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23
    2001::/32 2001:2::/48 2001:10::/28 2001:20::/28 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10
    fec0::/10 ff00::/8
    ::/8 100::/8 200::/7 400::/6 800::/5 1000::/4 4000::/3 6000::/3 8000::/3 a000::/3 c000::/3 e000::/4 f000::/5
    f800::/6 fe00::/9";

/// Each network as its first bits, an address's bits after the prefix shifted away.
fn networks() -> Vec<(bool, u32, u128)> {
    NOT_PUBLIC_V4
        .split_whitespace()
        .chain(NOT_PUBLIC_V6.split_whitespace())
        .map(|text| {
            let (address, prefix) = text.split_once('/').expect("a slash");
            let address: IpAddr = address.parse().expect("an address");
            let prefix: u32 = prefix.parse().expect("a prefix");
            (address.is_ipv4(), prefix, first_bits(address, prefix))
        })
        .collect()
}

fn first_bits(address: IpAddr, prefix: u32) -> u128 {
    let (bits, length) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    bits.checked_shr(length - prefix).unwrap_or(0)
}

pub(crate) fn is_public(address: IpAddr) -> bool {
    !networks()
        .into_iter()
        .any(|(v4, prefix, bits)| v4 == address.is_ipv4() && first_bits(address, prefix) == bits)
}

fn agree(address: IpAddr) -> Result<(), TestCaseError> {
    let judged = Allowed::public().permits(address);
    prop_assert_eq!(judged, is_public(address), "{}", address);
    Ok(())
}

/// An IPv4 address: any, or one near the edge of a listed network.
pub(crate) fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    let edges: Vec<u32> = NOT_PUBLIC_V4
        .split_whitespace()
        .map(|text| {
            let (address, _) = text.split_once('/').expect("a slash");
            u32::from(address.parse::<Ipv4Addr>().expect("an address"))
        })
        .collect();
    let near = (prop::sample::select(edges), 0_u32..32, -2_i32..3)
        .prop_map(|(edge, bit, step)| (edge ^ (1 << bit)).wrapping_add_signed(step));
    prop_oneof![any::<u32>(), near].prop_map(Ipv4Addr::from)
}

/// An IPv6 address: any, one that begins as a listed network does, or one with few groups that are not zero.
pub(crate) fn any_v6() -> impl Strategy<Value = Ipv6Addr> {
    let starts: Vec<u128> = NOT_PUBLIC_V6
        .split_whitespace()
        .map(|text| {
            let (address, _) = text.split_once('/').expect("a slash");
            u128::from(address.parse::<Ipv6Addr>().expect("an address"))
        })
        .collect();
    let near = (prop::sample::select(starts), 0_u32..128, any::<u128>())
        .prop_map(|(start, kept, rest)| start ^ (rest >> kept));
    let global = any::<u128>().prop_map(|bits| (bits >> 3) | (1 << 125));
    prop_oneof![any::<u128>(), near, global].prop_map(Ipv6Addr::from)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn ipv4_is_judged_as_the_registry_says(address in any_v4()) {
        agree(address.into())?;
    }

    #[test]
    fn ipv6_is_judged_as_the_registry_says(address in any_v6()) {
        agree(address.into())?;
    }

    #[test]
    fn no_form_of_ipv6_that_contains_an_ipv4_address_is_allowed(address in any::<u32>()) {
        let allowed = Allowed::public().and(["0.0.0.0/0", "::/0"]).expect("networks");
        let bits = u128::from(address);
        for start in ["::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::"] {
            let start: Ipv6Addr = start.parse().expect("an address");
            let form = Ipv6Addr::from(u128::from(start) | bits);
            prop_assert!(form == Ipv6Addr::LOCALHOST || !allowed.permits(form.into()), "{}", form);
        }
        let six_to_four = Ipv6Addr::from((0x2002_u128 << 112) | (bits << 80));
        prop_assert!(!allowed.permits(six_to_four.into()), "{}", six_to_four);
    }
}

#[test]
fn the_first_and_the_last_address_of_each_network_are_refused() {
    let allowed = Allowed::public();
    for (v4, prefix, bits) in networks() {
        let length = if v4 { 32 } else { 128 };
        let first = bits.checked_shl(length - prefix).unwrap_or(0);
        let hosts = u128::MAX.checked_shr(128 - (length - prefix)).unwrap_or(0);
        for bits in [first, first | hosts] {
            let address = match u32::try_from(bits) {
                Ok(bits) if v4 => IpAddr::from(Ipv4Addr::from(bits)),
                _ => IpAddr::from(Ipv6Addr::from(bits)),
            };
            assert!(!allowed.permits(address), "{address}");
        }
    }
}

#[test]
fn the_addresses_beside_the_networks_are_public() {
    for address in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "192.175.48.1",
        "2001:200::",
        "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db9::",
        "2000::1",
        "2003::",
        "3ffe::1",
        "3fff:1000::",
        "2620:4f:8000::1",
        "2606:4700::1111",
    ] {
        let address: IpAddr = address.parse().expect("an address");
        assert!(Allowed::public().permits(address), "{address}");
        assert!(is_public(address), "{address}");
    }
}
