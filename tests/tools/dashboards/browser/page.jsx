// Draws a dashboard's panels with Grafana's own components; the data comes with the page (window.DASHBOARD, by render.py).
import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  applyFieldOverrides, createTheme, dateTime, FieldType, getDisplayProcessor, getDisplayValueAlignmentFactors, getFieldDisplayName, getFieldDisplayValues,
  Registry, standardTransformers, standardTransformersRegistry, ThemeContext, toDataFrame, transformDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, PortalContainer, Table, TimeSeries, VizRepeater } from '@grafana/ui';
import { transformV2 } from './node_modules/@grafana/prometheus/dist/esm/result_transformer.mjs';
import { firstValueFrom } from 'rxjs';

const { board, answers, from, to } = window.DASHBOARD;
const theme = createTheme({ colors: { mode: window.DASHBOARD.theme } });
const replaceVariables = (text) => text;
const timeZone = 'utc';
const timeRange = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: dateTime(from * 1000), to: dateTime(to * 1000) } };
const CELL = 30 + 8;

const wanted = ['merge', 'organize', 'filterFieldsByName', 'sortBy'];
standardTransformersRegistry.setInit(() => Object.values(standardTransformers).filter((one) => wanted.includes(one.id))
  .map((one) => ({ id: one.id, name: one.name, transformation: one, editor: () => null })));

const standard = ['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'links', 'color'];
function registry(panel) {
  const custom = new Set(Object.keys(panel.fieldConfig.defaults.custom ?? {}));
  for (const override of panel.fieldConfig.overrides)
    for (const { id } of override.properties) if (id.startsWith('custom.')) custom.add(id.slice('custom.'.length));
  const item = (id, path, isCustom) => ({ id, path, isCustom, name: id, process: (value) => value, shouldApply: () => true, override: () => null, editor: () => null });
  return new Registry(() => [...standard.map((id) => item(id, id, false)), ...[...custom].map((id) => item(`custom.${id}`, id, true))]);
}

// As Grafana's backend writes them: a frame for each series, an empty one for a query without any.
function framesOf(target, answer) {
  const legend = (labels) => target.legendFormat === '__auto' || !target.legendFormat ? undefined
    : target.legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? '');
  const frames = answer.result.map((series) => {
    const points = series.values ?? [series.value];
    const { __name__: name, ...labels } = series.metric;
    return toDataFrame({
      refId: target.refId,
      meta: { custom: { resultType: answer.resultType } },
      fields: [
        { name: 'Time', type: FieldType.time, values: points.map(([at]) => at * 1000), config: {} },
        { name: name ?? 'Value', type: FieldType.number, labels: series.metric, values: points.map(([, value]) => Number(value)),
          config: { displayNameFromDS: legend(labels) } },
      ],
    });
  });
  return frames.length ? frames : [toDataFrame({ refId: target.refId, fields: [], meta: { custom: { resultType: answer.resultType } } })];
}

async function dataOf(panel) {
  const raw = panel.targets.flatMap((target) => framesOf(target, answers[panel.id][target.refId]));
  const { data } = transformV2({ data: raw }, { targets: panel.targets }, {});
  const transformed = await firstValueFrom(transformDataFrame(panel.transformations ?? [], data));
  return applyFieldOverrides({ data: transformed, fieldConfig: panel.fieldConfig, replaceVariables, theme, timeZone, fieldConfigRegistry: registry(panel) });
}

const Nothing = ({ text }) => <div style={{ display: 'flex', height: '100%', alignItems: 'center', justifyContent: 'center', color: theme.colors.text.secondary }}>{text}</div>;

function Values({ panel, data, width, height }) {
  const options = panel.options;
  const values = getFieldDisplayValues({ fieldConfig: panel.fieldConfig, reduceOptions: { calcs: ['lastNotNull'], values: false, ...options.reduceOptions }, replaceVariables, theme, data, timeZone });
  const vertical = panel.type === 'bargauge';
  return <VizRepeater source={values} getValues={() => values} getAlignmentFactors={getDisplayValueAlignmentFactors} width={width} height={height} orientation={options.orientation === 'vertical' ? 'vertical' : vertical ? 'horizontal' : 'auto'}
    itemSpacing={3} renderCounter={0} autoGrid={false}
    renderValue={({ value, width, height, alignmentFactors }) => vertical
      ? <BarGauge value={value.display} width={width} height={height} field={value.field} theme={theme} orientation="horizontal" displayMode={options.displayMode} showUnfilled alignmentFactors={alignmentFactors} itemSpacing={8} lcdCellWidth={12} valueDisplayMode={options.valueMode} />
      : <BigValue value={value.display} width={width} height={height} theme={theme} colorMode={options.colorMode} graphMode="none" textMode={options.textMode} justifyMode="auto" alignmentFactors={alignmentFactors} wideLayout={options.wideLayout} count={values.length} />} />;
}

// @grafana/ui has no state timeline: bars by the display processor's text and colour.
function History({ panel, data, width, height }) {
  const bars = [];
  for (const frame of data) for (const field of frame.fields.filter((one) => one.type === FieldType.number)) {
    const show = field.display ?? getDisplayProcessor({ field, theme });
    const times = frame.fields[0].values;
    const cells = [];
    field.values.forEach((value, index) => {
      const { text, color } = show(value);
      const last = cells[cells.length - 1];
      if (last && last.text === text) last.end = times[index]; else cells.push({ text, color, start: times[index], end: times[index] });
    });
    bars.push({ name: getFieldDisplayName(field, frame, data), cells });
  }
  if (!bars.length) return <Nothing text="no data" />;
  const x = (time) => 110 + ((time / 1000 - from) / (to - from)) * (width - 120);
  return <div style={{ position: 'relative', width, height }}>{bars.map((bar, row) => <div key={row}>
    <span style={{ position: 'absolute', top: 8 + row * 40 }}>{bar.name}</span>
    {bar.cells.map((cell, index) => <div key={index} style={{ position: 'absolute', top: row * 40, height: 34, left: x(cell.start), width: Math.max(2, x(cell.end) - x(cell.start)), background: cell.color, color: theme.colors.getContrastText(cell.color), overflow: 'hidden', padding: 6 }}>{cell.text}</div>)}
  </div>)}</div>;
}

function Body({ panel, data, width, height }) {
  const isEmpty = data.every((frame) => frame.length === 0 || frame.fields.length === 0);
  if (panel.type === 'table') return isEmpty ? <Nothing text="no data" /> : <Table data={data[0]} width={width} height={height} showTypeIcons={false} initialSortBy={panel.options.sortBy} cellHeight={panel.options.cellHeight} enablePagination={panel.options.footer?.enablePagination} footerOptions={undefined} />;
  if (panel.type === 'timeseries') {
    const drawn = data.filter((frame) => frame.length).map((frame) => ({ ...frame, fields: frame.fields.map((field) => field.type === FieldType.number ? { ...field, config: { ...field.config, custom: { drawStyle: 'line', lineInterpolation: 'linear', axisPlacement: 'auto', ...field.config.custom } } } : field) }));
    return drawn.length ? <TimeSeries frames={drawn} width={width} height={height} timeRange={timeRange} timeZone={timeZone} legend={panel.options.legend} theme={theme} options={{}} /> : <Nothing text="no data" />;
  }
  if (panel.type === 'state-timeline') return <History {...{ panel, data, width, height }} />;
  return <Values {...{ panel, data, width, height }} />;
}

class Guard extends React.Component {
  state = {};
  static getDerivedStateFromError(error) { return { error }; }
  componentDidCatch(error) { window.ERRORS.push(`${this.props.title}: ${error.stack}`); }
  render() { return this.state.error ? <Nothing text={String(this.state.error)} /> : this.props.children; }
}

async function main() {
  const panels = await Promise.all(board.panels.map(async (panel) => {
    try {
      return { panel, data: panel.type === 'row' ? [] : await dataOf(panel) };
    } catch (error) { window.ERRORS.push(`${panel.title}: ${error.stack}`); return { panel, data: [] }; }
  }));
  const unit = (window.innerWidth - 16) / 24;
  const bottom = Math.max(...panels.map(({ panel }) => panel.gridPos.y + panel.gridPos.h));
  document.body.style.height = `${bottom * CELL + 16}px`;
  createRoot(document.getElementById('root')).render(<ThemeContext.Provider value={theme}><GlobalStyles /><div>
    {panels.map(({ panel, data }) => {
      const { x, y, w, h } = panel.gridPos;
      const place = { position: 'absolute', left: 8 + x * unit + 4, top: 8 + y * CELL, width: w * unit - 8, height: h * CELL - 8 };
      if (panel.type === 'row') return <h4 key={panel.id} style={place}>{panel.title}</h4>;
      return <div key={panel.id} style={place} data-panel={panel.title}><Guard title={panel.title}><PanelChrome title={panel.title} description={panel.description} width={place.width} height={place.height}>
        {(width, height) => <Guard title={panel.title}><Body {...{ panel, data, width, height }} /></Guard>}
      </PanelChrome></Guard></div>;
    })}
  </div></ThemeContext.Provider>);
  setTimeout(() => { window.DONE = true; }, 1500);
}
window.ERRORS = [];
main().catch((error) => { window.ERRORS.push(error.stack); window.DONE = true; });
