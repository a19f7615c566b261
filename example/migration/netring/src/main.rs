// Prints flows with the Rust crate netring as they start, are answered and end, for four seconds: to be compared with
// short/flows.cpp.
use futures::StreamExt;
use netring::AsyncCapture;
use netring::flow::FlowEvent;
use netring::flow::extract::FiveTuple;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let interface = std::env::args().nth(1).unwrap_or("lo".into());
    let mut flows = AsyncCapture::open(&interface)?.flow_stream(FiveTuple::bidirectional());
    let end = tokio::time::sleep(Duration::from_secs(4));
    tokio::pin!(end);
    loop {
        let event = tokio::select! {
            () = &mut end => return Ok(()), // flows still open are not told
            event = flows.next() => event,
        };
        match event.transpose()? {
            None => return Ok(()),
            Some(FlowEvent::Started { key, .. }) => println!("started {} > {}", key.a, key.b),
            Some(FlowEvent::Established { key, .. }) => println!("established {} > {}", key.a, key.b),
            Some(FlowEvent::Ended { key, reason, stats, history, .. }) => println!(
                "ended ({reason:?}) {} > {}: {} packets, history {history}", key.a, key.b, stats.total_packets()),
            Some(_) => {}
        }
    }
}
