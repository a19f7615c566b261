#pragma once

/// What the libraries export; all else in them is hidden.
#define NETRING_ASIO_API __attribute__((visibility("default")))
