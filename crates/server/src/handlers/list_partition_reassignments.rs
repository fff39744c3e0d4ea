//! ListPartitionReassignments: with one broker, no partition is ever being moved.

use fletch_wire::messages::ListPartitionReassignmentsResponse;

pub(crate) fn handle() -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
