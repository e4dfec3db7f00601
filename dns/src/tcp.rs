//! DNS over TCP: hickory's server does the framing, pipelining and time limits; answers are the same.

use crate::answer::{Outcome, Transport, answer, servfail};
use crate::forward::Forwarder;
use crate::zone::Zone;
use hickory_proto::op::{Header, Message, Metadata, ResponseCode};
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers what comes in over TCP.
pub struct Handler {
    pub zone: Arc<Zone>,
    pub forwarder: Arc<Forwarder>,
    rotation: AtomicUsize,
}

impl Handler {
    pub fn new(zone: Arc<Zone>, forwarder: Arc<Forwarder>) -> Self {
        Self { zone, forwarder, rotation: AtomicUsize::new(0) }
    }

    async fn message(&self, request: &[u8]) -> Option<Message> {
        let mut buffer = Vec::with_capacity(512);
        let rotation = self.rotation.fetch_add(1, Ordering::Relaxed);
        match answer(&self.zone, request, Transport::Tcp, rotation, &mut buffer) {
            Outcome::Reply => Message::from_vec(&buffer).ok(),
            Outcome::Drop => None,
            Outcome::Forward { behind } => match self.forwarder.answer(request, &behind).await {
                Some(reply) => Some(reply),
                None if servfail(request, &mut buffer) => Message::from_vec(&buffer).ok(),
                None => None,
            },
        }
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let failed = || {
            let mut metadata = Metadata::response_from_request(&request.metadata);
            metadata.response_code = ResponseCode::ServFail;
            ResponseInfo::from(Header { metadata, counts: Default::default() })
        };
        let Some(reply) = self.message(request.as_slice()).await else { return failed() };
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &reply.edns {
            builder.edns(edns);
        }
        let message = builder.build(
            reply.metadata,
            reply.answers.iter(),
            reply.authorities.iter(),
            std::iter::empty(),
            reply.additionals.iter(),
        );
        match response.send_response(message).await {
            Ok(info) => info,
            // The client has gone.
            Err(_) => failed(),
        }
    }
}
