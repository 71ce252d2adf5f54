//! Interfaces and routes: nothing is up, or the planned HSM's own interface with a way to the HSM
//! and to nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use record::command::tool;
use record::plan::NetworkPlan;
use record::{Result, Rule, escape};

/// IFF_UP and IFF_LOOPBACK (netdevice(7)).
const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;
/// RTF_GATEWAY, RTF_REJECT, RTF_ANYCAST and RTF_LOCAL (linux/route.h, linux/ipv6_route.h).
const GATEWAY: u32 = 0x2;
const REJECT: u32 = 0x200;
const ANYCAST: u32 = 0x0010_0000;
const LOCAL: u32 = 0x8000_0000;
/// The widest network that passes for an interface's own link, in bits: a wider one may be a
/// default route in pieces.
const WIDEST_V4: u8 = 16;
const WIDEST_V6: u8 = 64;
/// How many interfaces or routes are named.
const MOST_SHOWN: usize = 6;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its flags, where they could be read.
    pub flags: Option<u32>,
}

impl Interface {
    /// Whether it is up, and not the loopback. One that does not tell counts as up.
    fn is_up(&self) -> bool {
        self.flags.is_none_or(|flags| flags & UP != 0 && flags & LOOPBACK == 0)
    }
}

/// A way out of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Through which interface.
    pub interface: String,
    /// Where to.
    pub to: IpAddr,
    /// How many bits of that count.
    pub bits: u8,
    /// Whether by another machine.
    pub gateway: bool,
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = if self.gateway { " by a gateway" } else { "" };
        write!(f, "{}/{} on {}{by}", self.to, self.bits, escape(&self.interface))
    }
}

/// The names in `/proc/net/dev` (proc(5)): two lines of titles, then `name: counters`. `None` for
/// another text.
pub fn interface_names(dev: &str) -> Option<Vec<String>> {
    let mut lines = dev.lines();
    if !lines.next()?.starts_with("Inter-|") {
        return None;
    }
    (lines.skip(1)).map(|line| Some(line.rsplit_once(':')?.0.trim().to_owned())).collect()
}

/// The flags in `/sys/class/net/NAME/flags`: `0x1003`.
pub fn flags(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

/// The routes in `/proc/net/route`: a line of titles, then columns; addresses are hex in the
/// machine's byte order. `None` for another text.
pub fn routes_v4(text: &str) -> Option<Vec<Route>> {
    let mut lines = text.lines();
    if !lines.next()?.starts_with("Iface\t") {
        return None;
    }
    let address =
        |hex: &str| Some(Ipv4Addr::from(u32::from_str_radix(hex, 16).ok()?.to_ne_bytes()));
    all_routes(lines, |columns| {
        let [interface, to, _, flags, _, _, _, mask, ..] = columns[..] else {
            return None;
        };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let route = Route {
            interface: interface.to_owned(),
            to: address(to)?.into(),
            bits: u8::try_from(address(mask)?.to_bits().count_ones()).ok()?,
            gateway: flags & GATEWAY != 0,
        };
        Some((flags & REJECT == 0).then_some(route))
    })
}

/// The routes in `/proc/net/ipv6_route`: columns without titles. What leads to this machine itself
/// or nowhere is left out. `None` for another text.
pub fn routes_v6(text: &str) -> Option<Vec<Route>> {
    let address = |hex: &str| {
        let number = u128::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 32);
        number.map(Ipv6Addr::from)
    };
    all_routes(text.lines(), |columns| {
        let [to, bits, _, _, next, _, _, _, flags, interface] = columns[..] else {
            return None;
        };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let route = Route {
            interface: interface.to_owned(),
            to: address(to)?.into(),
            bits: u8::from_str_radix(bits, 16).ok()?,
            gateway: flags & GATEWAY != 0 || !address(next)?.is_unspecified(),
        };
        let leaves = flags & (REJECT | ANYCAST | LOCAL) == 0 && interface != "lo";
        Some(leaves.then_some(route))
    })
}

/// The routes of these lines, by their columns: each is one, or one that leads nowhere. `None`
/// where a line is neither.
fn all_routes<'a>(
    lines: impl Iterator<Item = &'a str>,
    route: impl Fn(Vec<&'a str>) -> Option<Option<Route>>,
) -> Option<Vec<Route>> {
    let all = lines.map(|line| route(line.split_whitespace().collect()));
    Some(all.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Whether a route goes to the HSM, or no further than the interface's own link.
fn is_allowed(route: &Route, plan: &NetworkPlan) -> bool {
    let whole = if route.to.is_ipv4() { 32 } else { 128 };
    let to_peer = route.to == plan.peer && route.bits == whole;
    let widest = match route.to {
        IpAddr::V4(_) => WIDEST_V4,
        // ff00::/8: every interface has it, and multicast stays on the link where nobody forwards
        // it.
        IpAddr::V6(to) if to.is_multicast() => 8,
        IpAddr::V6(_) => WIDEST_V6,
    };
    route.interface == plan.interface && (to_peer || !route.gateway && route.bits >= widest)
}

/// The interfaces that are up and the routes, against the network that the plan gives this side's
/// HSM, if any.
///
/// # Errors
/// `PREFLIGHT-NETWORK`.
pub fn network(
    interfaces: &[Interface],
    routes: &[Route],
    planned: Option<&NetworkPlan>,
) -> Result<String> {
    let up = interfaces.iter().filter(|interface| interface.is_up());
    let surplus = up.map(|interface| interface.name.as_str());
    let surplus = surplus.filter(|name| planned.is_none_or(|plan| plan.interface != *name));
    let surplus: Vec<&str> = surplus.collect();
    Rule::PreflightNetwork.ensure(
        surplus.is_empty(),
        format!("up: {}", shown(surplus.iter().map(|name| escape(name)))),
        match planned {
            None => "no interface that is up, but the loopback".to_owned(),
            Some(plan) => format!("at most {} up, for the HSM", escape(&plan.interface)),
        },
        format!(
            "unplug the cable or switch the radio off, and whoever administers the machine runs `{}` for each; then run the command again. \
             An HSM in the network needs a plan that names its interface (hsm.network)",
            tool("ip link set NAME down")
        ),
    )?;
    let Some(plan) = planned else {
        return Ok("no interface is up".into());
    };
    let wrong: Vec<&Route> = (routes.iter()).filter(|route| !is_allowed(route, plan)).collect();
    let (interface, peer) = (escape(&plan.interface), plan.peer);
    Rule::PreflightNetwork.ensure(
        wrong.is_empty(),
        format!("routes: {}", shown(wrong.iter().map(|route| route.to_string()))),
        format!("a route to {peer} and that of the link of {interface}, no default route"),
        format!(
            "whoever administers the machine removes them with `{}` (`{}`); then run the command again",
            tool("ip route del ROUTE"),
            tool("ip -6 route del ROUTE")
        ),
    )?;
    Ok(format!("no interface but {interface} is up, and no route leads further than {peer}"))
}

/// The first few, and how many more.
fn shown(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(MOST_SHOWN);
    let mut shown = all.take(MOST_SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        shown.push_str(&format!(" and {more} more"));
    }
    shown
}
