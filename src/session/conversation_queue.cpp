#include <netring_asio/session/detail/conversation_queue.hpp>

#include <algorithm>

namespace netring_asio::session::detail {

conversation_queue::~conversation_queue() {
    for (auto& d : directions_)
        clear(d);
}

void conversation_queue::data(side from, std::span<std::byte const> bytes, timestamp time) {
    auto& d = at(from);
    if (d.closed || d.told)
        return;
    if (!detached_ && pool_->detaches && queued_ + bytes.size() > pool_->max_queued)
        detach();
    if (detached_) {
        if (d.lost == 0)
            d.lost_since = time;
        d.lost += bytes.size();
        return notify(from);
    }
    auto added = bytes.size();
    if (!d.filled_runs.empty() && !d.filled_runs.back().missing) {
        d.filled_runs.back().length += bytes.size();
    } else {
        d.filled_runs.push_back({bytes.size(), false, time});
        added += run_cost;
    }
    d.filled.insert(d.filled.end(), bytes.begin(), bytes.end());
    add(added);
    notify(from);
}

void conversation_queue::gap(side from, std::uint64_t length, timestamp time) {
    auto& d = at(from);
    if (d.closed || d.told)
        return;
    if (detached_) {
        if (d.lost == 0)
            d.lost_since = time;
        d.lost += length;
    } else if (!d.filled_runs.empty() && d.filled_runs.back().missing) {
        d.filled_runs.back().length += length;
    } else {
        d.filled_runs.push_back({length, true, time});
        add(run_cost);
    }
    notify(from);
}

void conversation_queue::finish(side from) {
    at(from).how = ending::finished;
    notify(from);
}

void conversation_queue::reset() {
    for (auto const from : {side::initiator, side::responder}) {
        if (at(from).how == ending::none) {
            at(from).how = ending::reset;
            notify(from);
        }
    }
}

bool conversation_queue::wanted() const noexcept {
    return std::ranges::any_of(directions_, [](direction const& d) { return !d.closed && !d.told; });
}

std::optional<conversation_queue::piece> conversation_queue::front(side from) {
    auto& d = at(from);
    if (d.read_run == d.read_runs.size() && !d.filled_runs.empty()) {
        d.read.clear();
        d.read_runs.clear();
        if (d.read.capacity() > kept_capacity)
            std::vector<std::byte>{}.swap(d.read);
        d.read_bytes = d.read_run = 0;
        d.read.swap(d.filled);
        d.read_runs.swap(d.filled_runs);
    }
    if (d.read_run == d.read_runs.size()) {
        if (d.lost == 0)
            return std::nullopt;
        return piece{d.offset, {}, d.lost, d.lost_since};
    }
    auto const& r = d.read_runs[d.read_run];
    if (r.missing)
        return piece{d.offset, {}, r.length, r.time};
    return piece{d.offset, std::span{d.read}.subspan(d.read_bytes, static_cast<std::size_t>(r.length)), 0, r.time};
}

void conversation_queue::consume(side from, std::size_t bytes) {
    auto& d = at(from);
    if (d.closed)
        return;
    if (d.read_run == d.read_runs.size()) {
        d.offset += std::exchange(d.lost, 0);
        d.told = true;
        return;
    }
    auto& r = d.read_runs[d.read_run];
    if (r.missing) {
        d.offset += r.length;
        r.length = 0;
    } else {
        r.length -= bytes;
        d.offset += bytes;
        d.read_bytes += bytes;
        subtract(bytes);
    }
    if (r.length == 0) {
        ++d.read_run;
        subtract(run_cost);
    }
}

ending conversation_queue::end(side from) {
    auto& d = at(from);
    if (!detached_)
        return d.how;
    d.told = true;
    return ending::too_slow;
}

void conversation_queue::close(side from) {
    auto& d = at(from);
    clear(d);
    d.closed = true;
    d.listener = nullptr;
}

void conversation_queue::detach() {
    detached_ = true;
    ++pool_->detached;
    notify(side::initiator);
    notify(side::responder);
}

void conversation_queue::notify(side from) noexcept {
    if (auto* const listener = at(from).listener)
        listener->readable(from);
}

void conversation_queue::add(std::size_t size) noexcept {
    queued_ += size;
    pool_->queued += size;
    if (!full_ && queued_ >= pool_->max_queued) {
        full_ = true;
        ++pool_->full;
    }
}

void conversation_queue::subtract(std::size_t size) noexcept {
    queued_ -= size;
    pool_->queued -= size;
    if (full_ && queued_ < pool_->max_queued) {
        full_ = false;
        --pool_->full;
    }
}

void conversation_queue::clear(direction& d) noexcept {
    subtract(d.filled.size() + d.read.size() - d.read_bytes +
             run_cost * (d.filled_runs.size() + d.read_runs.size() - d.read_run));
    d.filled = {};
    d.read = {};
    d.filled_runs = {};
    d.read_runs = {};
    d.read_bytes = d.read_run = 0;
    d.lost = 0;
}

} // namespace netring_asio::session::detail
