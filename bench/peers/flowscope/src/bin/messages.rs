//! What flowscope's parsers make of the conversations that bench.session wrote: messages FILE. Prints JSON objects, a line
//! each, with CPU nanoseconds and allocations a conversation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flowscope::dns::DnsUdpParser;
use flowscope::driver::{Driver, Event, SlotMessage};
use flowscope::extract::{FiveTuple, FiveTupleKey};
use flowscope::http::HttpParser;
use flowscope::quic::QuicUdpParser;
use flowscope::tls::TlsHandshakeParser;
use flowscope::{DatagramParser, FlowSide, PacketView, SessionParser, Timestamp};

const ROUNDS: usize = 21;

struct Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}
const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

/// Of the calling thread, in nanoseconds.
fn cpu_time() -> u64 {
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64
}

/// Takes what bench.session wrote: numbers of 32 bits, little-endian, and bytes behind their number.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> usize {
        let (number, rest) = self.0.split_at(4);
        self.0 = rest;
        u32::from_le_bytes(number.try_into().unwrap()) as usize
    }
    fn bytes(&mut self) -> &'a [u8] {
        let length = self.number();
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

struct Case<'a> {
    name: &'a str,
    protocol: &'a str,
    anew: bool,
    repetitions: usize,
    parts: Vec<(FlowSide, &'a [u8])>,
}

fn report(name: &str, conversations: usize, mut run: impl FnMut() -> usize) {
    run();
    let mut times = Vec::new();
    let (mut allocations, mut messages) = (0, 0);
    for _ in 0..ROUNDS {
        let (before, allocated) = (cpu_time(), ALLOCATIONS.load(Ordering::Relaxed));
        messages = run();
        times.push(cpu_time() - before);
        allocations = ALLOCATIONS.load(Ordering::Relaxed) - allocated;
    }
    times.sort_unstable();
    let per = |value: f64| value / conversations as f64;
    println!(
        r#"{{"measure":"{name}","ns":{:.1},"allocations":{:.2},"messages":{:.2}}}"#,
        per(times[ROUNDS / 2] as f64),
        per(allocations as f64),
        per(messages as f64)
    );
}

fn stream<P: SessionParser>(case: &Case, make: impl Fn() -> P) {
    let mut parser = make();
    let mut out = Vec::new();
    report(case.name, case.repetitions, || {
        let mut messages = 0;
        for _ in 0..case.repetitions {
            if case.anew {
                parser = make();
            }
            for &(side, bytes) in &case.parts {
                match side {
                    FlowSide::Initiator => parser.feed_initiator(bytes, Timestamp::default(), &mut out),
                    FlowSide::Responder => parser.feed_responder(bytes, Timestamp::default(), &mut out),
                }
                messages += out.len();
                out.clear();
            }
        }
        messages
    });
}

fn datagrams<P: DatagramParser>(case: &Case, make: impl Fn() -> P) {
    let mut parser = make();
    let mut out = Vec::new();
    let mut time = Duration::from_secs(1_440_000_000);
    report(case.name, case.repetitions, || {
        let mut messages = 0;
        for _ in 0..case.repetitions {
            if case.anew {
                parser = make();
            }
            for &(side, bytes) in &case.parts {
                time += Duration::from_micros(10);
                parser.parse(bytes, side, at(time), &mut out);
                messages += out.len();
                out.clear();
            }
        }
        messages
    });
}

fn at(time: Duration) -> Timestamp {
    Timestamp { sec: time.as_secs() as u32, nsec: time.subsec_nanos() }
}

/// The whole way, with as many parsers to choose from as bench.session has.
fn path(name: &str, conversations: usize, frames: &[&[u8]]) {
    let mut builder = Driver::builder(FiveTuple::bidirectional());
    let mut http = builder.session_on_ports(HttpParser::default(), [80]);
    let mut tls = builder.session_on_ports(TlsHandshakeParser::default(), [443]);
    let mut dns = builder.datagram_on_ports(DnsUdpParser::with_correlation(), [53]);
    let mut quic = builder.datagram_on_ports(QuicUdpParser::new(), [443]);
    let mut driver = builder.build();
    let mut events: Vec<Event<FiveTupleKey>> = Vec::new();
    fn drained<M>(messages: &mut Vec<SlotMessage<M, FiveTupleKey>>) -> usize {
        let count = messages.len();
        messages.clear();
        count
    }
    let (mut a, mut b, mut c, mut d) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut time = Duration::from_secs(1_440_000_000);
    report(name, conversations, || {
        let mut messages = 0;
        time += Duration::from_secs(600); // what was before is over
        for batch in frames.chunks(256) {
            for frame in batch {
                time += Duration::from_micros(10);
                driver.track_into(PacketView::new(frame, at(time)), &mut events);
            }
            events.clear();
            http.drain(&mut a);
            tls.drain(&mut b);
            dns.drain(&mut c);
            quic.drain(&mut d);
            messages += drained(&mut a) + drained(&mut b) + drained(&mut c) + drained(&mut d);
        }
        driver.sweep_into(at(time), &mut events);
        events.clear();
        messages
    });
}

fn main() {
    let file = std::fs::read(std::env::args().nth(1).expect("FILE")).expect("cannot read the conversations");
    let mut input = Reader(&file);
    while !input.0.is_empty() {
        let name = std::str::from_utf8(input.bytes()).unwrap();
        let protocol = std::str::from_utf8(input.bytes()).unwrap();
        let anew = input.number() != 0;
        let repetitions = input.number();
        let count = input.number();
        let parts = (0..count)
            .map(|_| {
                let side = if input.number() == 0 { FlowSide::Initiator } else { FlowSide::Responder };
                (side, input.bytes())
            })
            .collect();
        let case = Case { name, protocol, anew, repetitions, parts };
        match case.protocol {
            "http" => stream(&case, HttpParser::default),
            "tls" => stream(&case, TlsHandshakeParser::default),
            "dns" => datagrams(&case, DnsUdpParser::with_correlation),
            "quic" => datagrams(&case, QuicUdpParser::new),
            _ => path(case.name, case.repetitions, &case.parts.iter().map(|p| p.1).collect::<Vec<_>>()),
        }
    }
}
