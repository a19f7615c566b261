#pragma once

#include <netring_asio/flow/stream_pair.hpp>
#include <netring_asio/flow/tracker.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <openssl/evp.h>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

/// The captured parts of one direction of a connection: where each begins, how long it is, and its SHA-256.
class stream_runs final : public netring_asio::flow::byte_consumer {
public:
    struct run {
        std::uint64_t offset;
        std::uint64_t length;
        std::array<unsigned char, 32> sha256;
    };

    void data(std::uint64_t offset, std::span<std::byte const> bytes) override {
        if (length_ == 0) {
            offset_ = offset;
            EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr);
        }
        EVP_DigestUpdate(digest_.get(), bytes.data(), bytes.size());
        length_ += bytes.size();
    }
    void gap(std::uint64_t, std::uint64_t) override { close(); }

    std::vector<run> const& finish() {
        close();
        return runs_;
    }

private:
    void close() {
        if (length_ == 0)
            return;
        auto& added = runs_.emplace_back(run{offset_, length_, {}});
        EVP_DigestFinal_ex(digest_.get(), added.sha256.data(), nullptr);
        length_ = 0;
    }

    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest_{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
    std::uint64_t offset_ = 0;
    std::uint64_t length_ = 0;
    std::vector<run> runs_;
};

/// Reassembles every TCP connection of a tracker and gives the runs of each direction when it is forgotten.
class stream_recorder final : public netring_asio::flow::packet_observer<netring_asio::flow::five_tuple_key> {
public:
    using endpoint = netring_asio::flow::endpoint;
    using report = std::function<void(int ip_version, endpoint const& from, endpoint const& to,
                                      std::vector<stream_runs::run> const& runs)>;

    explicit stream_recorder(report on_stream)
        : on_stream_{std::move(on_stream)} {}

    void packet(flow const& of, netring_asio::decode::headers const& h, netring_asio::timestamp now) override {
        if (!h.has_tcp)
            return;
        auto& c = connections_.try_emplace(of.id, memory_).first->second;
        auto& d = c.directions[static_cast<std::size_t>(of.orientation)];
        d.from = {h.source, h.source_port};
        d.to = {h.destination, h.destination_port};
        c.ip_version = h.ip_version;
        c.streams.packet(h, of.orientation, now, c.directions[0].runs, c.directions[1].runs);
    }

    void forget(std::uint64_t id) override {
        auto const at = connections_.find(id);
        if (at == connections_.end())
            return;
        auto& c = at->second;
        c.streams.finish(c.directions[0].runs, c.directions[1].runs);
        for (auto& d : c.directions)
            if (auto const& runs = d.runs.finish(); !runs.empty())
                on_stream_(c.ip_version, d.from, d.to, runs);
        connections_.erase(at);
    }

private:
    struct direction {
        stream_runs runs;
        endpoint from;
        endpoint to;
    };
    struct connection {
        explicit connection(netring_asio::flow::reassembly_memory& memory)
            : streams{netring_asio::flow::reassembler_options{}, &memory} {}
        netring_asio::flow::stream_pair streams;
        std::array<direction, 2> directions;
        int ip_version = 4;
    };

    netring_asio::flow::reassembly_memory memory_;
    report on_stream_;
    std::unordered_map<std::uint64_t, connection> connections_;
};
