/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images go up to a device while it computes with the ones before: two buffers take turns. Whoever computes waits for the results of
 * each run before it binds the next images, so a buffer is free when its turn comes; the device's queues know that too.
 */
#include "infer/program.h"

static const deep_accelerators *accelerators_of(const deep_workspace *workspace)
{
    return workspace->context->backend->accelerators;
}

static bool can_send(const deep_workspace *workspace)
{
    return workspace->context != NULL && !deep__computes_in_host_memory(workspace->context) && !workspace->ahead.off &&
           accelerators_of(workspace)->upload_beside != NULL;
}

void deep__workspace_expect(deep_workspace *workspace, deep_batch batch)
{
    if (can_send(workspace)) workspace->ahead.expected = batch;
}

void deep__workspace_expect_nothing(deep_workspace *workspace)
{
    deep_upload_ahead *ahead = &workspace->ahead;
    if (ahead->begun.images != NULL) accelerators_of(workspace)->sync(workspace->queue);
    ahead->expected = ahead->begun = (deep_batch){0};
}

deep_status deep__workspace_send(deep_workspace *workspace)
{
    deep_upload_ahead *ahead = &workspace->ahead;
    const deep_batch batch = ahead->expected;
    if (batch.images == NULL) return DEEP_OK;
    ahead->expected = (deep_batch){0};
    const deep_status status = deep__workspace_grow(workspace->context, &ahead->buffer, &ahead->buffer_bytes,
                                                    batch.room, "the next batch's images");
    if (status == DEEP_ERROR_OUT_OF_MEMORY) {
        ahead->begun = (deep_batch){0};
        ahead->off = true;
        deep__log(&workspace->context->logger, DEEP_LOG_INFO, "batches are not uploaded ahead: %s", deep_last_error());
        return DEEP_OK;
    }
    DEEP_TRY(status);
    ahead->begun = batch;
    return accelerators_of(workspace)->upload_beside(workspace->queue, ahead->buffer, batch.images, batch.bytes);
}

static void trade_buffers(deep_workspace *workspace, int32_t input)
{
    deep_upload_ahead *ahead = &workspace->ahead;
    void *buffer = workspace->inputs[input];
    const size_t bytes = workspace->input_bytes[input];
    workspace->inputs[input] = ahead->buffer;
    workspace->input_bytes[input] = ahead->buffer_bytes;
    ahead->buffer = buffer;
    ahead->buffer_bytes = bytes;
}

deep_status deep__workspace_arrive(deep_workspace *workspace, int32_t input, deep_batch batch, bool *arrived)
{
    const deep_batch begun = workspace->ahead.begun;
    *arrived = begun.images == batch.images && begun.bytes == batch.bytes;
    if (!can_send(workspace)) return DEEP_OK;
    workspace->ahead.begun = (deep_batch){0};
    if (*arrived) trade_buffers(workspace, input);
    return accelerators_of(workspace)->meet(workspace->queue);
}
