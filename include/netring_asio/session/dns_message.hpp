#pragma once

#include <netring_asio/decode/ip_address.hpp>
#include <netring_asio/detail/api.hpp>
#include <netring_asio/error.hpp>
#include <netring_asio/packet/packet_view.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// Messages of the domain name system (RFC 1035), also in multicast (RFC 6762) and link-local form (RFC 4795).
namespace netring_asio::session::dns {

/// Types of records, and of questions. Any other value of the registry may occur.
enum class record_type : std::uint16_t {
    a = 1,
    ns = 2,
    cname = 5,
    soa = 6,
    ptr = 12,
    mx = 15,
    txt = 16,
    aaaa = 28,
    srv = 33,
    naptr = 35,
    dname = 39,
    opt = 41,
    ds = 43,
    rrsig = 46,
    nsec = 47,
    dnskey = 48,
    svcb = 64,
    https = 65,
    axfr = 252,
    any = 255,
    caa = 257,
};

/// A domain name: labels with dots between them, without one at the end; the root is empty. Dots, backslashes and what
/// is not printable are escaped within labels (RFC 4343, 2.1).
using name = std::string;

struct mail_exchange {
    std::uint16_t preference;
    name exchange;
};
struct start_of_authority {
    name primary;
    name mailbox;
    std::uint32_t serial, refresh, retry, expire, minimum;
};
struct service {
    std::uint16_t priority, weight, port;
    name target;
};
/// RFC 9460. `parameters` are key and undecoded value.
struct service_binding {
    std::uint16_t priority;
    name target;
    std::vector<std::pair<std::uint16_t, std::vector<std::byte>>> parameters;
};
/// RFC 8659
struct certification_authority {
    std::uint8_t flags;
    std::string tag, value;
};
/// EDNS (RFC 6891). `options` are code and undecoded value.
struct extension {
    std::uint16_t udp_payload_size;
    std::uint8_t extended_response_code, version;
    bool dnssec_ok;
    std::vector<std::pair<std::uint16_t, std::vector<std::byte>>> options;
};

/// What a record says: an address; the name of CNAME, DNAME, NS and PTR; the strings of TXT; or the bytes of any other
/// type.
using record_data =
    std::variant<std::vector<std::byte>, decode::ip_address, name, std::vector<std::string>, mail_exchange,
                 start_of_authority, service, service_binding, certification_authority, extension>;

struct question {
    dns::name name;
    record_type type;
    std::uint16_t class_;

    friend bool operator==(question const&, question const&) = default;
};

struct record {
    dns::name name;
    record_type type;
    std::uint16_t class_; ///< of OPT the payload size
    std::uint32_t time_to_live;
    record_data data;
};

/// A query or a response.
struct message {
    std::uint16_t id = 0;
    bool is_response = false;
    bool authoritative = false;
    bool truncated = false; ///< the responder left something out
    bool recursion_desired = false;
    bool recursion_available = false;
    std::uint8_t opcode = 0;
    std::uint8_t response_code = 0;
    std::vector<question> questions;
    std::vector<record> answers;
    std::vector<record> authorities;
    std::vector<record> additionals;
    /// Of a response, the time since its query; nothing if that was not seen.
    std::optional<std::chrono::nanoseconds> latency;
    /// How many questions, answers, authorities and additionals its head announces. All are here, unless it was cut.
    std::array<std::uint16_t, 4> announced{};
    bool cut = false; ///< only its beginning was captured
};

/// A query that nobody answered in time.
struct unanswered {
    std::uint16_t id = 0;
    std::vector<question> questions;
    timestamp asked{};
};

/// Decodes one message. Work and memory are bounded by the size of the input: a compression pointer only leads
/// backwards, names have at most 255 bytes and 127 pointers, and all of a message together no more than 16 characters
/// for each of its bytes, and 4096. After an error `result` has what came before it.
NETRING_ASIO_API error_code decode(std::span<std::byte const> bytes, message& result);

/// The type's mnemonic, or TYPE and the number.
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, record_type type);
/// One line.
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, message const& value);
NETRING_ASIO_API std::ostream& operator<<(std::ostream& out, unanswered const& value);

} // namespace netring_asio::session::dns
