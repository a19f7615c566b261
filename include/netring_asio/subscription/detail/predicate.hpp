#pragma once

#include <netring_asio/decode/ip_address.hpp>
#include <netring_asio/subscription/field.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace netring_asio::subscription::detail {

/// Both ends belong to it.
struct number_range {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    friend bool operator==(number_range const&, number_range const&) = default;
};

struct address_prefix {
    decode::ip_address address;
    std::uint8_t bits = 128; // of the 16 bytes
    friend bool operator==(address_prefix const&, address_prefix const&) = default;
};

using value = std::variant<number_range, address_prefix, std::string>;

enum class relation : std::uint8_t {
    present,  // or, of a flag, set
    equal,    // to one of the values, or within one
    contains, // one of the texts
    matches,  // the regular expression
};

class pattern;

/// What an expression asks of one field.
struct predicate {
    subscription::field field = subscription::field::ethernet;
    relation how = relation::present;
    bool negated = false; // the field is there, and none of its values is so
    std::vector<value> values;
    std::shared_ptr<detail::pattern const> regular; // where it matches

    friend bool operator==(predicate const& a, predicate const& b) {
        return a.field == b.field && a.how == b.how && a.negated == b.negated && a.values == b.values;
    }
};

enum class node_kind : std::uint8_t { everything, predicate, negation, conjunction, disjunction };

/// A part of an expression.
struct node {
    node_kind kind = node_kind::everything;
    std::uint8_t depth = 1;
    detail::predicate what;
    std::vector<std::shared_ptr<node const>> children;
};

using node_ptr = std::shared_ptr<node const>;

} // namespace netring_asio::subscription::detail
