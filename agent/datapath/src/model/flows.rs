//! Flows, datagrams in pieces, and errors about either.

use super::*;

impl Model {
    /// What pods of this node and of others send alike: errors and packets of flows that exist, and fragments, which
    /// open none.
    pub(super) fn of_a_flow(&mut self, packet: &[u8], headers: &mut Headers) -> Option<Way> {
        let is_known = self.complete(headers);
        if is_known && let Some(way) = self.related(packet, headers).or_else(|| self.established(headers)) {
            return Some(way);
        }
        if headers.part != Part::Later {
            return None;
        }
        let own = headers.tuple.destination == self.tables.config.node;
        Some(if own { Ok((Verdict::Pass, Shape::Same)) } else { Err(Reason::Fragment) })
    }

    /// Gives a later fragment its ports; false when the first one has not gone through.
    pub(super) fn complete(&self, headers: &mut Headers) -> bool {
        if headers.part != Part::Later {
            return true;
        }
        let Some(ports) = self.datagrams.get(&datagram(headers)) else { return false };
        (headers.tuple.source_port, headers.tuple.destination_port) = *ports;
        true
    }

    pub(super) fn remember(&mut self, headers: &Headers) {
        if headers.part == Part::First {
            let ports = (headers.tuple.source_port, headers.tuple.destination_port);
            self.datagrams.insert(datagram(headers), ports);
        }
    }

    pub(super) fn established(&mut self, headers: &Headers) -> Option<Way> {
        let flow = self.known(headers)?;
        self.remember(headers);
        // What leads nowhere any more is not judged either.
        if Self::leads_out(&flow) || self.route(&flow.translated.source, &flow.translated.destination).is_ok()
        {
            self.renew(&headers.tuple, &flow);
        }
        Some(self.send_by(headers, &flow, flow.translated))
    }

    /// An ICMP error, if it is about a packet of a flow: to who sent that, as that sender knows it.
    pub(super) fn related(&self, packet: &[u8], headers: &Headers) -> Option<Way> {
        if !errors::is_error(headers) {
            return None;
        }
        let quoted = errors::quoted(packet, headers)?;
        let flow = *self.flows.get(&quoted.reversed())?;
        // It goes the way of the answers to that packet.
        let answer = Tuple { source_port: Be16::ZERO, destination_port: Be16::ZERO, ..flow.translated };
        let way = self.send_by(&Headers { tuple: answer, ..*headers }, &flow, answer);
        Some(way.map(|(verdict, _)| {
            let mut outer = Tuple { destination: answer.destination, ..headers.tuple };
            // A node takes only what comes from its owner out of the tunnel.
            if outer.source == quoted.destination || matches!(verdict, Verdict::Tunnel(_)) {
                outer.source = answer.source;
            }
            let requoted = errors::requote(packet, headers, &flow.translated.reversed());
            (verdict, Shape::Other(rewrite(&requoted, &outer)))
        }))
    }

    fn leads_out(flow: &Flow) -> bool {
        flow.opener == Opener::Outside && flow.reply
    }

    /// The way of a packet of a flow. Who asked from outside is answered there.
    pub(super) fn send_by(&self, headers: &Headers, flow: &Flow, translated: Tuple) -> Way {
        if Self::leads_out(flow) {
            return sendable(headers, &translated).map(|()| (Verdict::Outer, Shape::As(translated)));
        }
        self.send(headers, translated)
    }

    pub(super) fn send(&self, headers: &Headers, translated: Tuple) -> Way {
        let route = self.route(&translated.source, &translated.destination)?;
        sendable(headers, &translated)?;
        Ok((verdict(route), Shape::As(translated)))
    }

    /// The flow that a packet belongs to. A SYN does not belong to a flow that is closing.
    pub(super) fn known(&mut self, headers: &Headers) -> Option<Flow> {
        let flow = *self.flows.get(&headers.tuple)?;
        if flow.closing && headers.is_syn() {
            return None;
        }
        if headers.is_closing() {
            for key in [headers.tuple, flow.translated.reversed()] {
                if let Some(flow) = self.flows.get_mut(&key) {
                    flow.closing = true;
                }
            }
        }
        Some(flow)
    }

    pub(super) fn masquerade(
        &mut self,
        headers: &Headers,
        translated: &mut Tuple,
        opener: Opener,
        chance: &mut dyn Chance,
    ) -> Result<(), Reason> {
        if !headers.opens_with_port() {
            return Err(Reason::Protocol);
        }
        translated.source = self.tables.config.node;
        translated.source_port = Be16::new(chance.port());
        if !self.may_use(translated.source_port) {
            return Err(Reason::NoNatPort);
        }
        self.claim(headers, translated, opener, chance)
    }

    /// Opens a flow. Where another flow has the answer's tuple, another source port is taken.
    pub(super) fn claim(
        &mut self,
        headers: &Headers,
        translated: &mut Tuple,
        opener: Opener,
        chance: &mut dyn Chance,
    ) -> Result<(), Reason> {
        let tuple = headers.tuple;
        let mark = self.ask(opener, &tuple.source);
        let taken = |model: &Self, translated: &Tuple| {
            let other = model.flows.get(&translated.reversed());
            other.is_some_and(|flow| flow.translated != tuple.reversed())
        };
        if taken(self, translated) {
            if !headers.opens_with_port() {
                return Err(Reason::NoNatPort);
            }
            translated.source_port = Be16::new(chance.port());
            if !self.may_use(translated.source_port) || taken(self, translated) {
                return Err(Reason::NoNatPort);
            }
        }
        let flow = |translated, reply| Flow { translated, reply, opener, closing: false, mark };
        self.flows.insert(translated.reversed(), flow(tuple.reversed(), true));
        self.flows.insert(tuple, flow(*translated, false));
        self.remember(headers);
        Ok(())
    }

    /// Whether a port may be used for masquerading.
    pub(super) fn may_use(&self, port: Be16) -> bool {
        let config = &self.tables.config;
        port.get().wrapping_sub(config.nat_first) < config.nat_count
    }
}

fn datagram(headers: &Headers) -> Datagram {
    let Tuple { source, destination, protocol, .. } = headers.tuple;
    (source, destination, protocol, headers.identification)
}

/// Whether the packet can be given these ports.
fn sendable(headers: &Headers, translated: &Tuple) -> Result<(), Reason> {
    let from = headers.tuple;
    let ports_differ =
        (from.source_port, from.destination_port) != (translated.source_port, translated.destination_port);
    if ports_differ && headers.part != Part::Later && !headers.has_ports() {
        return Err(Reason::Protocol);
    }
    Ok(())
}
