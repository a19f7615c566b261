// Takes the frames of a capture file apart with gopacket, and puts their TCP streams together, all but the first COUNT
// frames measured: gopacket-peer FILE COUNT. Prints CPU nanoseconds a packet of decoding with hashing the five-tuple,
// and of both with reassembly, which is what gopacket has for following connections.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/reassembly"
)

type stream struct{ bytes int }

func (s *stream) Accept(*layers.TCP, gopacket.CaptureInfo, reassembly.TCPFlowDirection, reassembly.Sequence, *bool,
	reassembly.AssemblerContext) bool {
	return true
}
func (s *stream) ReassembledSG(data reassembly.ScatterGather, _ reassembly.AssemblerContext) {
	length, _ := data.Lengths()
	s.bytes += length
}
func (s *stream) ReassemblyComplete(reassembly.AssemblerContext) bool { return true }

type factory struct{ streams int }

func (f *factory) New(gopacket.Flow, gopacket.Flow, *layers.TCP, reassembly.AssemblerContext) reassembly.Stream {
	f.streams++
	return &stream{}
}

type context gopacket.CaptureInfo

func (c *context) GetCaptureInfo() gopacket.CaptureInfo { return gopacket.CaptureInfo(*c) }

// Of all threads, as the collector has its own.
func cpuTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func main() {
	file, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	unmeasured, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}

	var ethernet layers.Ethernet
	var v4 layers.IPv4
	var v6 layers.IPv6
	var tcp layers.TCP
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &ethernet, &v4, &v6, &tcp)
	parser.IgnoreUnsupported = true
	decoded := make([]gopacket.LayerType, 0, 8)
	var sum uint64
	made := &factory{}
	assembler := reassembly.NewAssembler(reassembly.NewStreamPool(made))

	run := func(assemble bool) float64 {
		count := 0
		before := cpuTime()
		for at := 24; at < len(file); count++ {
			if count == unmeasured {
				before = cpuTime()
			}
			length := int(binary.LittleEndian.Uint32(file[at+8:]))
			seconds := binary.LittleEndian.Uint32(file[at:])
			nanoseconds := binary.LittleEndian.Uint32(file[at+4:])
			frame := file[at+16 : at+16+length]
			at += 16 + length
			if err := parser.DecodeLayers(frame, &decoded); err != nil {
				panic(err)
			}
			network := v4.NetworkFlow()
			if decoded[1] == layers.LayerTypeIPv6 {
				network = v6.NetworkFlow()
			}
			sum += network.FastHash() ^ tcp.TransportFlow().FastHash()
			if assemble {
				info := context{Timestamp: time.Unix(int64(seconds), int64(nanoseconds)), CaptureLength: length, Length: length}
				assembler.AssembleWithContext(network, &tcp, &info)
			}
		}
		return float64(cpuTime()-before) / float64(count-unmeasured)
	}
	extraction := run(false)
	tracking := run(true)
	fmt.Fprintln(os.Stderr, made.streams, "streams; sum", sum)
	fmt.Printf("%.1f %.1f\n", extraction, tracking)
}
