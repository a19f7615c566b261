//! Tracks the frames of a capture file with flowscope, all but the first COUNT of them measured:
//! flowscope-peer FILE COUNT FLOWS. Prints CPU nanoseconds a packet.

use flowscope::event::FlowEvent;
use flowscope::extract::FiveTuple;
use flowscope::{FlowTracker, FlowTrackerConfig, PacketView, Timestamp};

/// Of the calling thread, in nanoseconds.
fn cpu_time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("no schedstat");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("no CPU time")
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let file = std::fs::read(&arguments[1]).expect("cannot read the frames");
    let unmeasured: usize = arguments[2].parse().expect("COUNT is a number");
    let flows: usize = arguments[3].parse().expect("FLOWS is a number");

    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut records = Vec::new();
    let mut at = 24;
    while at < file.len() {
        let length = word(at + 8) as usize;
        records.push((at + 16, length, Timestamp { sec: word(at), nsec: word(at + 4) }));
        at += 16 + length;
    }

    let mut config = FlowTrackerConfig::default();
    config.max_flows = flows * 2 + 1_000_000;
    config.initial_capacity = flows;
    let mut tracker = FlowTracker::<FiveTuple>::with_config(FiveTuple::bidirectional(), config);
    let mut packets = 0u64;
    let mut ended = 0u64;
    let mut before = cpu_time();
    for (i, &(begin, length, time)) in records.iter().enumerate() {
        if i == unmeasured {
            before = cpu_time();
        }
        for event in tracker.track(PacketView::new(&file[begin..begin + length], time)) {
            match event {
                FlowEvent::Packet { .. } => packets += 1,
                FlowEvent::Ended { .. } => ended += 1,
                _ => {}
            }
        }
    }
    let spent = cpu_time() - before;
    eprintln!("{packets} packets, {ended} flows ended");
    println!("{:.1}", spent as f64 / (records.len() - unmeasured) as f64);
}
