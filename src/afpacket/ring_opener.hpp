#pragma once

#include "ring_core.hpp"
#include "socket_opener.hpp"
#include <netring_asio/afpacket/rx_ring.hpp>
#include <netring_asio/capture_options.hpp>
#include <netring_asio/error.hpp>

#include <string>

namespace netring_asio::afpacket {

/// Bytes of the header that cooked packets get.
inline constexpr std::size_t cooked_header_size = 20;

namespace detail {

/// Joins promiscuous and all-multicast mode as the options say.
bool add_memberships(int socket, capture_options const& options, error_code& ec) noexcept;

/// Puts a filter in place of the one before. `verdict` tells which packets user space must judge as well.
bool attach_filter(int socket, filter const& wanted, netring_asio::detail::kernel_verdict& verdict, error_code& ec);

} // namespace detail

/// Opens a ring step by step, in the order that keeps foreign and unfiltered packets out: options, ring, filter, then
/// bind, then fanout.
class ring_opener : detail::socket_opener {
public:
    /// `context` becomes what the error is about.
    ring_opener(rx_ring& ring, capture_options const& options, std::string& context)
        : socket_opener{context}
        , ring_{ring}
        , options_{options} {}

    /// `socket` is -1, or a packet socket to take over.
    void open(int socket, error_code& ec);

private:
    bool validate(error_code& ec);
    void open_in_namespace(error_code& ec);
    bool find_interface(error_code& ec);
    bool set_socket_options(error_code& ec);
    bool choose_slots(error_code& ec);
    bool make_ring(error_code& ec);
    bool install_filter(error_code& ec);
    bool bind(error_code& ec);
    bool join_fanout(error_code& ec);

    rx_ring& ring_;
    capture_options options_;
    filter filter_;
    netring_asio::detail::kernel_verdict verdict_;
    bool cooked_ = false;
    std::uint16_t vnet_header_size_ = 0;
    std::size_t slot_size_ = 0;
    link_type link_ = link_type::ethernet;
    std::optional<std::uint16_t> fanout_id_;
};

} // namespace netring_asio::afpacket
