//! The place of the transport between members.
//!
//! A cluster of one member replicates to nobody, so nothing here is ever asked to carry anything; if it were, it
//! answers what is true: the peer cannot be reached. Transport to real peers implements these same two traits.

use std::future::Future;

use openraft::OptionalSend;
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};

use super::checkpoint::Checkpointed;
use super::types::Types;

/// Knows no way to any peer.
pub(crate) struct NoPeers;

#[derive(Debug, thiserror::Error)]
#[error("member {0} cannot be reached: this store has one member")]
struct NoRoute(u64);

impl RaftNetworkFactory<Types> for NoPeers {
    type Network = NoRouteTo;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> NoRouteTo {
        NoRouteTo(target)
    }
}

pub(crate) struct NoRouteTo(u64);

impl NoRouteTo {
    fn unreachable(&self) -> Unreachable<Types> {
        Unreachable::new(&NoRoute(self.0))
    }
}

impl RaftNetworkV2<Types> for NoRouteTo {
    type SnapshotData = Checkpointed;

    async fn append_entries(
        &mut self,
        _rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(
        &mut self,
        _rpc: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn pre_vote(
        &mut self,
        _rpc: VoteRequest<Types>,
        _option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _vote: VoteOf<Types>,
        _snapshot: SnapshotOf<Types, Checkpointed>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }
}
