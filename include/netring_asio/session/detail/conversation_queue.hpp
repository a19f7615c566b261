#pragma once

#include <netring_asio/detail/api.hpp>
#include <netring_asio/session/parser.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace netring_asio::session::detail {

/// Hears that a direction has something new: bytes, a gap or its end.
class conversation_listener {
public:
    virtual void readable(side from) noexcept = 0;

protected:
    ~conversation_listener() = default;
};

/// What the queues of one stream share.
struct conversation_pool {
    std::size_t max_queued;
    bool detaches; // what exceeds `max_queued`; else somebody sees `full` and feeds no more
    std::size_t full = 0;
    std::size_t queued = 0;
    std::uint64_t detached = 0;
};

enum class ending : std::uint8_t { none, finished, reset, too_slow };

/// What both sides of a conversation sent and nobody has read yet.
///
/// Each direction has two buffers, one that is filled and one that is read, which change places when the latter is
/// used up: what is read stays where it is meanwhile, and is one piece however it came.
class NETRING_ASIO_API conversation_queue {
public:
    /// Bytes, or so many missing ones.
    struct piece {
        std::uint64_t offset;
        std::span<std::byte const> bytes;
        std::uint64_t missing;
        timestamp time;
    };

    explicit conversation_queue(std::shared_ptr<conversation_pool> pool) noexcept
        : pool_{std::move(pool)} {}
    ~conversation_queue();
    conversation_queue(conversation_queue const&) = delete;
    conversation_queue& operator=(conversation_queue const&) = delete;

    // Who feeds it.
    void data(side from, std::span<std::byte const> bytes, timestamp time);
    void gap(side from, std::uint64_t length, timestamp time);
    void finish(side from);
    void reset();
    /// Whether anything more is worth feeding.
    bool wanted() const noexcept;

    // Who reads it.
    void listen(side to, conversation_listener* listener) noexcept { at(to).listener = listener; }
    /// What comes next, valid until `consume`; nothing where all that came was read.
    std::optional<piece> front(side from);
    /// So many bytes of the front were read, or its gap was.
    void consume(side from, std::size_t bytes);
    /// How the direction ended, once nothing of it is left to read.
    ending end(side from);
    /// Nobody reads this direction any more.
    void close(side from);

private:
    struct run {
        std::uint64_t length;
        bool missing;
        timestamp time;
    };
    static constexpr std::size_t run_cost = sizeof(run);
    static constexpr std::size_t kept_capacity = 16384;

    struct direction {
        std::vector<std::byte> filled, read;
        std::vector<run> filled_runs, read_runs;
        std::size_t read_bytes = 0, read_run = 0;
        std::uint64_t offset = 0;
        std::uint64_t lost = 0; // since it was detached
        timestamp lost_since{};
        conversation_listener* listener = nullptr;
        ending how = ending::none;
        bool closed = false;
        bool told = false; // that it was detached
    };

    direction& at(side which) noexcept { return directions_[index(which)]; }
    void detach();
    void notify(side from) noexcept;
    void add(std::size_t size) noexcept;
    void subtract(std::size_t size) noexcept;
    void clear(direction& d) noexcept;

    std::shared_ptr<conversation_pool> pool_;
    std::array<direction, 2> directions_;
    std::size_t queued_ = 0;
    bool full_ = false;
    bool detached_ = false;
};

/// Puts what a TCP connection carries into a queue; its one message is that queue.
class conversation_parser {
public:
    using message_type = std::shared_ptr<conversation_queue>;

    explicit conversation_parser(std::shared_ptr<conversation_pool> pool) noexcept
        : pool_{std::move(pool)} {}

    static match probe(side, std::span<std::byte const>) noexcept { return match::yes; }

    error_code feed(side from, std::span<std::byte const> bytes, timestamp time, output<message_type>& out) {
        queue(from, out).data(from, bytes, time);
        return {};
    }
    error_code gap(side from, std::uint64_t length, timestamp time, output<message_type>& out) {
        if (length != 0)
            queue(from, out).gap(from, length, time);
        return {};
    }
    void finish(side from, timestamp, output<message_type>&) {
        if (queue_)
            queue_->finish(from);
    }
    void reset(timestamp, output<message_type>&) {
        if (queue_)
            queue_->reset();
    }
    bool done() const noexcept { return queue_ && !queue_->wanted(); }

private:
    conversation_queue& queue(side from, output<message_type>& out) {
        if (!queue_) {
            queue_ = std::make_shared<conversation_queue>(pool_);
            out(from, queue_);
        }
        return *queue_;
    }

    std::shared_ptr<conversation_pool> pool_;
    message_type queue_;
};

} // namespace netring_asio::session::detail
