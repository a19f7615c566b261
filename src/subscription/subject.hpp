#pragma once

#include "program.hpp"
#include <netring_asio/flow/event.hpp>
#include <netring_asio/packet/frame.hpp>

#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace netring_asio::subscription::detail {

/// A set of small numbers.
class number_set {
public:
    void resize(std::size_t count) { words_.resize((count + 63) / 64); }
    void clear() noexcept { std::ranges::fill(words_, 0); }
    bool test(std::size_t n) const noexcept { return (words_[n / 64] >> n % 64 & 1) != 0; }
    void set(std::size_t n) noexcept { words_[n / 64] |= one(n); }
    void reset(std::size_t n) noexcept { words_[n / 64] &= ~one(n); }
    bool any() const noexcept {
        return std::ranges::any_of(words_, [](auto w) { return w != 0; });
    }
    /// Whether the two have a number in common.
    bool meets(number_set const& other) const noexcept {
        for (std::size_t i = 0; i != words_.size(); ++i)
            if ((words_[i] & other.words_[i]) != 0)
                return true;
        return false;
    }
    void assign(number_set const& other) { words_ = other.words_; }

    /// Calls f with the numbers that are also in `within`; those that it takes out are not called any more.
    template <class F>
    void for_each(number_set const& within, F f) const {
        for (std::size_t i = 0; i != words_.size(); ++i)
            for (auto left = words_[i] & within.words_[i]; left != 0; left &= left - 1)
                f(i * 64 + static_cast<std::size_t>(std::countr_zero(left)));
    }

private:
    static std::uint64_t one(std::size_t n) noexcept { return std::uint64_t{1} << n % 64; }
    std::vector<std::uint64_t> words_;
};

/// A frame that waits for the decision on its connection.
struct kept_frame {
    netring_asio::frame frame;
    flow::orientation orientation;
    bool parsed; // it has payload, and came while the connection was parsed
};

/// A connection that some subscription may still want something of. In a list while it has kept frames.
struct subject : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    static constexpr std::uint32_t none = 0xffffffff;

    std::uint64_t id = 0;
    flow::five_tuple_key key{};
    flow::orientation orientation{}; // of the initiator, as the first packet told
    phases closed = 0;
    bool parsing = false;
    bool ended = false;
    bool partial = false; // packets of it were passed over
    std::int32_t interface_index = 0;
    std::string_view service;
    flow::flow_stats counted; // times, packets and bytes
    number_set open;          // subscriptions that are not decided
    number_set matched;       // subscriptions that want all that follows
    number_set seen;          // predicates that found a value
    number_set hit;           // predicates that found one that they ask for
    std::vector<kept_frame> kept;
    std::size_t kept_bytes = 0;
    timestamp kept_since{};
    std::vector<std::uint32_t> pending; // of each subscription, the first kept frame that it waits for
    std::vector<netring_asio::session::http1::request> requests; // without a response yet

    bool alive() const noexcept { return open.any() || matched.any(); }

    /// What is known of a predicate over all of the connection.
    truth known(std::size_t number, predicate const& p, phase of) const noexcept {
        bool const is_closed = (closed & bit(of)) != 0 && !(partial && of == phase::end);
        if (p.negated)
            return hit.test(number) ? truth::no : !is_closed ? truth::unknown : truth_of(seen.test(number));
        return hit.test(number) ? truth::yes : is_closed ? truth::no : truth::unknown;
    }
    void note(std::size_t number, finding found) noexcept {
        if (found.seen)
            seen.set(number);
        if (found.hit)
            hit.set(number);
    }
};

/// The subjects, by the flow's id and by a number of their own. One that is done with serves again, with its memory.
class subject_table {
public:
    subject& operator[](std::size_t number) noexcept { return *subjects_[number]; }

    subject* find(std::uint64_t id) noexcept {
        if (by_id_.empty())
            return nullptr;
        auto const at = by_id_.find(id);
        return at == by_id_.end() ? nullptr : subjects_[at->second].get();
    }
    /// One that is not in use; `add` takes it in.
    std::uint32_t spare() {
        if (free_.empty()) {
            free_.push_back(static_cast<std::uint32_t>(subjects_.size()));
            subjects_.push_back(std::make_unique<subject>());
        }
        return free_.back();
    }
    void add(std::uint32_t number) {
        free_.pop_back();
        by_id_.emplace(subjects_[number]->id, number);
    }
    void remove(std::uint64_t id) {
        auto const at = by_id_.find(id);
        free_.push_back(at->second);
        by_id_.erase(at);
    }
    std::size_t size() const noexcept { return by_id_.size(); }

    template <class F>
    void for_each(F f) {
        for (auto const& [id, number] : by_id_)
            f(*subjects_[number]);
    }

private:
    std::vector<std::unique_ptr<subject>> subjects_;
    std::vector<std::uint32_t> free_;
    boost::unordered_flat_map<std::uint64_t, std::uint32_t> by_id_;
};

} // namespace netring_asio::subscription::detail
