//! Which addresses may be called.
//!
//! The networks are those of IANA's registries of special-purpose addresses,
//! <https://www.iana.org/assignments/iana-ipv4-special-registry> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry> (copies read 2026-11-29), with multicast
//! (<https://www.iana.org/assignments/ipv4-address-space>) and the site-local addresses of RFC 3879. An entry that is
//! globally reachable and stands alone, such as AS112's 192.175.48.0/24, is public. The two blocks of protocol
//! assignments, 192.0.0.0/24 and 2001::/23, are refused as a whole, although some of their parts are globally
//! reachable: none is an address of a web server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The IPv4 networks that are not public.
const NOT_PUBLIC_V4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),       // this network; Linux connects 0.0.0.0 to itself
    v4([10, 0, 0, 0], 8),      // private
    v4([100, 64, 0, 0], 10),   // shared by carriers; also some clouds' metadata
    v4([127, 0, 0, 0], 8),     // loopback
    v4([169, 254, 0, 0], 16),  // link-local, with the cloud's metadata service
    v4([172, 16, 0, 0], 12),   // private
    v4([192, 0, 0, 0], 24),    // protocol assignments
    v4([192, 0, 2, 0], 24),    // documentation
    v4([192, 88, 99, 0], 24),  // relays of 6to4
    v4([192, 168, 0, 0], 16),  // private
    v4([198, 18, 0, 0], 15),   // benchmarks
    v4([198, 51, 100, 0], 24), // documentation
    v4([203, 0, 113, 0], 24),  // documentation
    v4([224, 0, 0, 0], 4),     // multicast
    v4([240, 0, 0, 0], 4),     // reserved
    v4([255, 255, 255, 255], 32),
];

/// The only IPv6 network with public addresses (<https://www.iana.org/assignments/ipv6-address-space>). Outside of it
/// are the unspecified address, loopback, unique local fc00::/7 (with AWS's metadata service), link-local fe80::/10,
/// site-local fec0::/10, multicast ff00::/8, discard 100::/64, the dummy prefix 100:0:0:1::/64 and segment routing
/// 5f00::/16.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// The networks in [`GLOBAL_UNICAST`] that are not public.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0], 23), // protocol assignments: Teredo, benchmarks, ORCHID and others
    v6([0x2001, 0xdb8, 0, 0], 32), // documentation
    v6([0x2002, 0, 0, 0], 16), // 6to4
    v6([0x3fff, 0, 0, 0], 20), // documentation
];

/// The networks whose addresses contain an IPv4 address, to which a gateway or the system itself translates. None is
/// ever allowed, so that the IPv4 address cannot be reached by a second spelling.
const CONTAIN_V4: [Ipv6Net; 7] = [
    Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96), // IPv4-compatible
    Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), // IPv4-mapped
    Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96), // IPv4-translated
    v6([0x64, 0xff9b, 0, 0], 96),                   // NAT64
    v6([0x64, 0xff9b, 1, 0], 48),                   // NAT64 for local use
    v6([0x2001, 0, 0, 0], 32),                      // Teredo
    v6([0x2002, 0, 0, 0], 16),                      // 6to4
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d]: [u16; 4], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

/// The addresses that may be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    additional: Vec<IpNet>,
}

/// An entry of a list of networks is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is not a network such as 10.20.0.0/16 or fd00:1::/64: {why}")]
pub struct NetworkError {
    entry: String,
    why: &'static str,
}

impl NetworkError {
    /// The entry that is wrong.
    #[must_use]
    pub fn entry(&self) -> &str {
        &self.entry
    }
}

impl Allowed {
    /// Allows public addresses only.
    #[must_use]
    pub fn public() -> Self {
        Self::default()
    }

    /// Allows these networks too, each an address and the length of its prefix. They are meant for endpoints in the
    /// operator's own private network: whoever registers an endpoint can then reach every host of these networks.
    ///
    /// # Errors
    /// [`NetworkError`] names the first wrong entry. An entry is wrong if it cannot be read, has bits after its prefix,
    /// or only has IPv6 addresses that contain an IPv4 address, which are never allowed.
    pub fn and<I>(mut self, networks: I) -> Result<Self, NetworkError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        for entry in networks {
            self.additional.push(network(entry.as_ref())?);
        }
        Ok(self)
    }

    /// Whether this address may be called.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        is_public(address) || self.adds(address)
    }

    /// Whether this address belongs to the networks that were added.
    #[must_use]
    pub fn adds(&self, address: IpAddr) -> bool {
        !contains_v4(address) && self.additional.iter().any(|net| net.contains(&address))
    }

    /// Whether any networks were added.
    #[must_use]
    pub fn has_additional(&self) -> bool {
        !self.additional.is_empty()
    }
}

fn network(entry: &str) -> Result<IpNet, NetworkError> {
    let wrong = |why| NetworkError {
        entry: entry.to_owned(),
        why,
    };
    let net: IpNet = entry
        .parse()
        .map_err(|_| wrong("an address, a slash and the length of the prefix are needed"))?;
    if net != net.trunc() {
        return Err(wrong("bits after the prefix are set"));
    }
    if let IpNet::V6(v6) = net
        && v6 != Ipv6Net::from(Ipv6Addr::LOCALHOST)
        && CONTAIN_V4.iter().any(|containing| containing.contains(&v6))
    {
        return Err(wrong(
            "IPv6 addresses that contain an IPv4 address are never allowed",
        ));
    }
    Ok(net)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_UNICAST.contains(&address)
                && !NOT_PUBLIC_V6.iter().any(|net| net.contains(&address))
        }
    }
}

fn contains_v4(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) | IpAddr::V6(Ipv6Addr::LOCALHOST) => false,
        IpAddr::V6(address) => CONTAIN_V4.iter().any(|net| net.contains(&address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn added_networks_are_allowed_beside_the_public_ones() {
        let allowed = Allowed::public()
            .and(["10.20.0.0/16", "fd00:1::/64", "::1/128"])
            .expect("networks");
        for address in ["8.8.8.8", "10.20.255.1", "fd00:1::7", "::1", "2600::1"] {
            assert!(allowed.permits(ip(address)), "{address}");
        }
        for address in ["10.21.0.1", "127.0.0.1", "fd00:2::7", "::", "::2"] {
            assert!(!allowed.permits(ip(address)), "{address}");
        }
        assert!(allowed.adds(ip("10.20.0.1")) && !allowed.adds(ip("8.8.8.8")));
        assert!(allowed.has_additional() && !Allowed::public().has_additional());
    }

    #[test]
    fn an_address_that_contains_an_ipv4_address_is_refused_even_in_an_added_network() {
        let allowed = Allowed::public()
            .and(["10.0.0.0/8", "::/0"])
            .expect("networks");
        for address in [
            "::10.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "2002:a00:1::",
            "2001:0:a00:1::",
        ] {
            assert!(!allowed.permits(ip(address)), "{address}");
        }
        assert!(allowed.permits(ip("fd00::1")));
    }

    #[test]
    fn a_wrong_network_is_named() {
        for entry in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.1.0.0/8",
            "private",
            "::ffff:10.0.0.0/104",
            "2002:a00::/24",
            "64:ff9b::/96",
        ] {
            let error = Allowed::public()
                .and(["10.0.0.0/8", entry])
                .expect_err(entry);
            assert_eq!(error.entry(), entry);
            assert!(error.to_string().starts_with(&format!("`{entry}` is not")));
        }
    }
}
