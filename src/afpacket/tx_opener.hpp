#pragma once

#include "socket_opener.hpp"
#include "tx_core.hpp"
#include <netring_asio/afpacket/tx_ring.hpp>

#include <string>

namespace netring_asio::afpacket {

/// Opens a transmit ring step by step.
class tx_opener : detail::socket_opener {
public:
    /// `context` becomes what the error is about.
    tx_opener(tx_ring& ring, injector_options const& options, std::string& context)
        : socket_opener{context}
        , ring_{ring}
        , options_{options} {}

    /// `socket` is -1, or a packet socket to take over.
    void open(int socket, error_code& ec);

private:
    bool validate(error_code& ec);
    void open_in_namespace(error_code& ec);
    bool find_interface(error_code& ec);
    bool enable_timestamps(error_code& ec);
    bool set_socket_options(error_code& ec);
    bool choose_geometry(error_code& ec);
    bool make_ring(error_code& ec);
    bool size_send_buffer(error_code& ec);
    bool bind(error_code& ec);

    tx_ring& ring_;
    injector_options options_;
    link_type link_ = link_type::ethernet;
    detail::link_header header_{};
    detail::tx_geometry geometry_{};
    std::size_t mtu_ = 0;
    bool ample_send_buffer_ = false;
};

} // namespace netring_asio::afpacket
