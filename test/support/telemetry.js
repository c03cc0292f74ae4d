/** The OpenTelemetry SDK of an application, with exporters in memory. */
import * as api from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { cleanUp } from './gateway/gateway.js';
import { until } from './until.js';

/**
 * Registers an SDK; `stopAll` unregisters it.
 * @param {{bare?: boolean}} [options] `bare`: without a context manager and a propagator
 */
export function registerSdk({ bare = false } = {}) {
  const spanExporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(spanExporter)],
  });
  api.trace.setGlobalTracerProvider(tracerProvider);
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: metricExporter });
  const meterProvider = new MeterProvider({ readers: [reader] });
  api.metrics.setGlobalMeterProvider(meterProvider);
  if (!bare) {
    api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    api.propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  }
  cleanUp(async () => {
    for (const part of [api.trace, api.metrics, api.context, api.propagation]) part.disable();
    await meterProvider.shutdown();
  });
  const spans = () => spanExporter.getFinishedSpans();
  return {
    spans,
    /** The ended spans of a name, in the order of their ends, once `count` have ended. */
    named: async (name, count = 1) =>
      until(() => {
        const found = spans().filter((span) => span.name === name);
        return found.length >= count && found;
      }, `${count} spans ${name}`),
    /** The metrics by name: `{unit, points: [{attributes, count, sum, boundaries}]}`. */
    async metrics() {
      await meterProvider.forceFlush();
      const [resource] = metricExporter.getMetrics().slice(-1);
      const found = resource.scopeMetrics.flatMap(({ metrics }) => metrics);
      return Object.fromEntries(
        found.map(({ descriptor, dataPoints }) => [
          descriptor.name,
          {
            unit: descriptor.unit,
            points: dataPoints.map(({ attributes, value: { count, sum, buckets } }) => {
              return { attributes, count, sum, boundaries: buckets.boundaries };
            }),
          },
        ]),
      );
    },
  };
}

/** Whether a span is the child of another one. */
export const isChildOf = (span, parent) =>
  span.parentSpanContext?.spanId === parent.spanContext().spanId &&
  span.spanContext().traceId === parent.spanContext().traceId;
