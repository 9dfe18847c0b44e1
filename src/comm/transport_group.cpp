#include "comm/transport_group.h"

#include <atomic>
#include <exception>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/format.h"
#include "comm/all_gather.h"
#include "comm/all_reduce.h"
#include "comm/all_to_all.h"
#include "comm/barrier.h"
#include "comm/broadcast.h"
#include "comm/operation_queue.h"
#include "comm/reduce_scatter.h"
#include "device/context.h"

namespace moe::comm {
namespace {

using Body = std::function<void(Transport&, Scratch&)>;

// What an operation is called in messages; formatted only when one is needed.
struct Label {
  const char* operation;
  std::int64_t count = 0;
  DType dtype = DType::U8;
};

std::string to_string(const Label& label) {
  if (label.count == 0) return label.operation;
  return format("{} of {} {}", label.operation, label.count, to_string(label.dtype));
}

// Shared by the group and its operations, which may outlive it.
class Core {
 public:
  Core(std::unique_ptr<Transport> transport, std::string purpose)
      : transport_(std::move(transport)), purpose_(std::move(purpose)) {}

  Transport& transport() { return *transport_; }
  const std::string& purpose() const { return purpose_; }

  /// What is under way and what comes later fails, here and at the peers.
  void cancel_for_own_error() noexcept {
    transport_->cancel(format("world rank {} left its work because of an error of its own",
                              transport_->world_rank(transport_->rank())));
  }

  /// @throws CommError for a failing transport; what else the body throws passes unchanged
  void run(const Label& label, Allocator* allocator, const Body& body) {
    const Stopwatch watch;
    if (failed_.load()) {
      throw CommError(
          format("[{}] {} on rank {} of {}: an earlier collective of this group failed "
                 "(elapsed 0 ms)",
                 purpose_, to_string(label), transport_->rank(), transport_->size()));
    }
    try {
      Scratch scratch(allocator);
      body(*transport_, scratch);
    } catch (const TransportFailure& failure) {
      failed_ = true;
      throw CommError(explain(failure, label, watch.seconds()));
    } catch (const std::exception& error) {
      failed_ = true;
      transport_->cancel(error.what());
      throw;
    }
  }

 private:
  std::string explain(const TransportFailure& failure, const Label& label, double seconds) const {
    std::string peers;
    for (const int peer : failure.peers()) {
      peers += format("{}{} (world rank {})", peers.empty() ? "" : ", ", peer,
                      transport_->world_rank(peer));
    }
    return format(
        "[{}] {} on rank {} of {} (world rank {}) failed after {:.0f} ms: {}{}{}. HINT: look "
        "for that rank's own message, then restart from the last checkpoint",
        purpose_, to_string(label), transport_->rank(), transport_->size(),
        transport_->world_rank(transport_->rank()), seconds * 1e3, failure.what(),
        peers.empty() ? "" : "; peer ", peers);
  }

  std::unique_ptr<Transport> transport_;
  std::string purpose_;
  std::atomic<bool> failed_ = false;
};

// What the issuer holds. The operation itself may be running on the worker, out of and into memory
// of the issuer, so the last handle does not go before it has ended.
class Issued : public Work::State {
 public:
  Issued(std::shared_ptr<Core> core, std::shared_ptr<Operation> operation)
      : core_(std::move(core)), operation_(std::move(operation)) {}

  ~Issued() override {
    if (operation_->done()) return;
    if (std::uncaught_exceptions() > exceptions_at_birth_) core_->cancel_for_own_error();
    operation_->finish();
  }

  void wait() override { operation_->wait(); }
  bool done() const override { return operation_->done(); }
  double elapsed() const override { return operation_->elapsed(); }

 private:
  int exceptions_at_birth_ = std::uncaught_exceptions();
  std::shared_ptr<Core> core_;
  std::shared_ptr<Operation> operation_;
};

class TransportGroup : public Group {
 public:
  TransportGroup(std::unique_ptr<Transport> transport, const std::string& purpose)
      : core_(std::make_shared<Core>(std::move(transport), purpose)),
        queue_(std::make_shared<OperationQueue>(
            [core = core_.get()](bool urgent) { core->transport().set_urgent(urgent); })) {}

  ~TransportGroup() override {
    if (std::uncaught_exceptions() > exceptions_at_birth_) core_->cancel_for_own_error();
    queue_->close();
  }

  int rank() const override { return core_->transport().rank(); }
  int size() const override { return core_->transport().size(); }
  const std::string& purpose() const override { return core_->purpose(); }

  Work all_reduce_sum(const View& buffer) override {
    return reduce("all_reduce_sum", buffer, Reduction::Sum);
  }
  Work all_reduce_max(const View& buffer) override {
    return reduce("all_reduce_max", buffer, Reduction::Max);
  }
  Work reduce_scatter_sum(const View& input, const View& output) override;
  Work all_gather(const View& input, const View& output) override;
  Work broadcast(const View& buffer, int root) override;
  Work all_to_all(const View& send, std::span<const std::int64_t> send_rows, const View& receive,
                  std::span<const std::int64_t> receive_rows) override;
  Work barrier() override;
  std::unique_ptr<Group> split(int color, const std::string& purpose) override;

 private:
  Work reduce(const char* operation, const View& buffer, Reduction reduction);
  Work issue(const Label& label, Body body);

  int exceptions_at_birth_ = std::uncaught_exceptions();
  std::shared_ptr<Core> core_;
  std::shared_ptr<OperationQueue> queue_;
};

Work TransportGroup::issue(const Label& label, Body body) {
  DeviceContext* context = find_context();
  Allocator* allocator = context != nullptr ? &context->allocator : nullptr;
  if (size() == 1) {
    core_->run(label, allocator, body);
    return Work();
  }
  auto operation = queue_->submit([core = core_, label, allocator, body = std::move(body)] {
    core->run(label, allocator, body);
  });
  return Work(std::make_shared<Issued>(core_, std::move(operation)));
}

Work TransportGroup::reduce(const char* operation, const View& buffer, Reduction reduction) {
  check_all_reduce(operation, buffer);
  return issue({operation, buffer.numel(), buffer.dtype},
               [buffer, reduction](Transport& transport, Scratch& scratch) {
                 all_reduce(transport, scratch, buffer, reduction);
               });
}

Work TransportGroup::reduce_scatter_sum(const View& input, const View& output) {
  check_reduce_scatter(size(), input, output);
  return issue({"reduce_scatter_sum", input.numel(), input.dtype},
               [input, output](Transport& transport, Scratch& scratch) {
                 comm::reduce_scatter_sum(transport, scratch, input, output);
               });
}

Work TransportGroup::all_gather(const View& input, const View& output) {
  check_all_gather(size(), input, output);
  return issue({"all_gather", output.numel(), output.dtype},
               [input, output](Transport& transport, Scratch&) {
                 comm::all_gather(transport, input, output);
               });
}

Work TransportGroup::broadcast(const View& buffer, int root) {
  check_broadcast(size(), buffer, root);
  return issue(
      {"broadcast", buffer.numel(), buffer.dtype},
      [buffer, root](Transport& transport, Scratch&) { comm::broadcast(transport, buffer, root); });
}

Work TransportGroup::all_to_all(const View& send, std::span<const std::int64_t> send_rows,
                                const View& receive, std::span<const std::int64_t> receive_rows) {
  AllToAllParts parts = cut_all_to_all(rank(), send, send_rows, receive, receive_rows, size());
  return issue({"all_to_all", send.numel(), send.dtype},
               [parts = std::move(parts)](Transport& transport, Scratch&) {
                 transport.exchange(parts.send, parts.receive);
               });
}

Work TransportGroup::barrier() {
  return issue({"barrier"}, [](Transport& transport, Scratch&) { comm::barrier(transport); });
}

std::unique_ptr<Group> TransportGroup::split(int color, const std::string& purpose) {
  std::unique_ptr<Transport> part;
  issue({"split"}, [&part, color](Transport& transport, Scratch&) {
    part = transport.split(color);
  }).wait();
  return part == nullptr ? nullptr : make_group(std::move(part), purpose);
}

}  // namespace

std::unique_ptr<Group> make_group(std::unique_ptr<Transport> transport,
                                  const std::string& purpose) {
  MOE_CHECK(transport != nullptr);
  return std::make_unique<TransportGroup>(std::move(transport), purpose);
}

}  // namespace moe::comm
