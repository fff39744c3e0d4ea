//! What a client may send at most, where no other test asks.

mod support;

use fletch_wire::ErrorCode;
use support::{Server, batch};

#[test]
fn a_batch_has_no_more_records_than_it_may() {
    let server = Server::start(&["--kafka-batch-records-max=3"]);
    let mut client = server.client();
    client.metadata("orders");
    assert_eq!(
        client.produce("orders", batch(&["a"; 3])).error_code,
        ErrorCode::NONE
    );
    let refused = client.produce("orders", batch(&["a"; 4]));
    assert_eq!(refused.error_code, ErrorCode::MESSAGE_TOO_LARGE);
}
