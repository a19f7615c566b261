//! Receives stamped frames with netring on one Tokio thread, and writes the age of each to standard output, eight bytes
//! each; before that a zero, once it is open. For bench.latency.

use netring::async_adapters::tokio_adapter::AsyncCapture;
use netring::{Capture, RingProfile};
use std::io::Write;
use std::os::fd::FromRawFd;

const STAMP: usize = 14;

fn monotonic_now() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

async fn receive(interface: &str) -> Result<(), Box<dyn std::error::Error>> {
    let ring = Capture::builder().interface(interface).profile(RingProfile::LowLatency).build()?;
    let mut capture = AsyncCapture::new(ring)?;
    let mut out = unsafe { std::fs::File::from_raw_fd(1) }; // std::io::Stdout would write line by line
    out.write_all(&0i64.to_le_bytes())?;
    loop {
        let mut guard = capture.readable().await?;
        while let Some(batch) = guard.next_batch() {
            for packet in &batch {
                let data = packet.data();
                if data.len() < STAMP + 8 || data[12..14] != [0x88, 0xb5] {
                    continue;
                }
                let stamp = i64::from_le_bytes(data[STAMP..STAMP + 8].try_into()?);
                out.write_all(&(monotonic_now() - stamp).to_le_bytes())?;
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let interface = std::env::args().nth(1).ok_or("Usage: netring-peer INTERFACE")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(receive(&interface))
}
